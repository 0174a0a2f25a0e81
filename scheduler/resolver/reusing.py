"""Reusing results: a job that would do what another has done, with the same inputs, is done with that one's results.

It is looked at once its needs are satisfied and its inputs are known. One that is being done by an earlier job waits for it, and does it itself
if that ends otherwise than well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from scheduler.documents import JobDataDocument, JobResults
from scheduler.identifiers import JobId
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.workflow import reuse
from scheduler.rules.workflow.reuse import ReuseRule
from scheduler.store.needs import changes
from scheduler.store.needs import reuse as rows
from scheduler.store.needs.plans import ReleasedJob
from scheduler.store.needs.reuse import ReusableJob, ReuseRecord

_LOOKED_AT = 5
"""Results of one key that are looked at; of the newest the files may be gone, of an older one not."""


class CachedJob(NamedTuple):
    """A job that is released, and may reuse a result: its whole definition and data."""

    job: ReleasedJob
    definition: Definition
    data: JobDataDocument
    rule: ReuseRule


@dataclass(slots=True)
class ReusedJobs:
    """What became of them: `done` by the results of another job, `waiting` for one, and why the others run themselves."""

    done: dict[JobId, tuple[JobId, JobResults | None]] = field(default_factory=dict)
    waiting: set[JobId] = field(default_factory=set)
    missed: dict[JobId, str] = field(default_factory=dict)


def look(tx: Connection, released: Sequence[CachedJob]) -> ReusedJobs:
    """Look for results for these jobs, which are locked; write what each is known by, and return what became of it."""
    found = ReusedJobs()
    begun: dict[tuple[int, bytes], JobId] = {}
    for one in sorted(released, key=lambda cached: cached.job.job_id):
        record = _one(tx, one, begun, found)
        if record is not None:
            rows.write(tx, [record])
    return found


def _one(
    tx: Connection, one: CachedJob, begun: dict[tuple[int, bytes], JobId], found: ReusedJobs
) -> ReuseRecord | None:
    """Decide of one job, and return what it is known by; None while it waits."""
    job, rule = one.job, one.rule
    unknown = reuse.unknown_program(one.definition)
    if unknown is not None:
        return _not_known(one, unknown, found)
    wanted = reuse.files_of(one.data.get("input_data", ()))  # type: ignore[arg-type]  # entries are plain documents
    files = rows.hashes(tx, job.project_id, wanted)
    if files.keys() != set(wanted):
        return _not_known(one, "a file of its inputs is deleted", found)
    kind = f"{job.type_name} {job.type_version}, revision {job.revision_num}"
    parts = reuse.parts(job.project_id, kind, one.definition, one.data, files, rule.key)
    key = reuse.digest(parts)
    missed = "not reused: it is to be done anew (cache: refresh)"
    if rule.valid_s is not None:
        hit, missed = _hit(tx, one, key, rule.valid_s)
        if hit is not None:
            found.done[job.job_id] = (hit.id, hit.results)
            return ReuseRecord(job.job_id, job.project_id, key, parts, reused_from=hit.id)
        other = begun.get((job.project_id, key)) or rows.running(tx, job.project_id, job.job_id, key)
        if other is not None:
            found.waiting.add(job.job_id)
            if not rows.wait_for(tx, job.job_id, other):
                changes.tell(tx, [job.job_id])
            return None
        missed = missed or _difference(tx, one, parts)
    begun.setdefault((job.project_id, key), job.job_id)
    found.missed[job.job_id] = missed
    return ReuseRecord(job.job_id, job.project_id, key, parts, missed=missed)


def _not_known(one: CachedJob, why: str, found: ReusedJobs) -> ReuseRecord:
    """Note why nobody can tell what a job would do; no other has its key, which is empty."""
    job = one.job
    found.missed[job.job_id] = f"not reused: {why}"
    return ReuseRecord(job.job_id, job.project_id, b"", {}, missed=found.missed[job.job_id])


def _hit(tx: Connection, one: CachedJob, key: bytes, valid_s: int) -> tuple[ReusableJob | None, str]:
    """Return a job whose results are good, or None and why those that there are are not."""
    job, missed = one.job, ""
    for other in rows.find(tx, job.project_id, job.job_id, key, valid_s, _LOOKED_AT):
        reason = _unusable(tx, one, other)
        if reason is None:
            return other, ""
        missed = missed or f"not reused: job {other.id} did the same, but {reason}"
    return None, missed


def _unusable(tx: Connection, one: CachedJob, other: ReusableJob) -> str | None:
    """Return why the results of a job with the same key are not good; None where they are."""
    if other.is_old:
        return "that is longer ago than cache.for says"
    made = reuse.files_of((other.results or {}).get("output_data", ()))  # type: ignore[arg-type]  # plain documents
    if rows.hashes(tx, one.job.project_id, made).keys() != set(made):
        return "a file that it made is deleted"
    if other.doubted_by is not None:
        return f"job {other.doubted_by} could not have a file as it made it"
    names = sorted(one.definition.secrets)
    written = rows.secrets(tx, one.job.project_id, names)
    for name in names:
        if name not in written or other.started is None or written[name] >= other.started:
            return f"the secret {name} was changed since"
    return None


def _difference(tx: Connection, one: CachedJob, parts: Mapping[str, str]) -> str:
    other = rows.like(tx, one.job.project_id, one.job.job_id)
    told = None if other is None else reuse.difference(parts, other.parts)
    if other is None or told is None:
        return "not reused: nothing did the same before"
    return f"not reused: {told} from job {other.job_id}"
