"""Release: a job whose needs are satisfied gets its inputs of them, and goes to the queue; or it is skipped, or fails for what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection

from scheduler.documents import DataEntry, JobDataDocument, JsonValue
from scheduler.identifiers import ErrorId, JobId, ProjectId
from scheduler.jobs.json_schema import SchemaBudget
from scheduler.resolver import expansion, reusing
from scheduler.resolver.reusing import CachedJob, ReusedJobs
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.definition import Definition, scaled, stepped
from scheduler.rules.lifecycle.failures import INPUT_MISSING
from scheduler.rules.workflow import reuse, supply
from scheduler.rules.workflow.supply import ParentResults, SuppliedInputs
from scheduler.store.admin import errors_by_name
from scheduler.store.jobs import shapes, submissions
from scheduler.store.jobs.shapes import NewShape
from scheduler.store.needs import plans
from scheduler.store.needs.plans import ReleasedJob, SuppliedAmounts

MIB = 1024 * 1024
_DELETED = "file {}, which it takes of another job, is deleted"


@dataclass(slots=True)
class SuppliedJobs:
    """What becomes of jobs whose needs are satisfied: the others go to the queue. `missing` says why each cannot run.

    Those that were `expanded` are released with the next round, each as one of many.
    """

    skipped: set[JobId] = field(default_factory=set)
    missing: dict[JobId, str] = field(default_factory=dict)
    expanded: set[JobId] = field(default_factory=set)
    reused: ReusedJobs = field(default_factory=ReusedJobs)


def supplied(tx: Connection, ids: Sequence[JobId]) -> SuppliedJobs:
    """Give these jobs what they take of the jobs that they need; return which of them cannot or need not run."""
    found = SuppliedJobs()
    if not ids:
        return found
    parents = _parents(tx, ids)
    budget = SchemaBudget()
    taken: list[tuple[ReleasedJob, Definition, SuppliedInputs]] = []
    cached: list[CachedJob] = []
    for job in plans.read(tx, ids):
        of_job = parents.get(job.job_id, {})
        if not supply.all_hold(job.conditions, of_job):
            found.skipped.add(job.job_id)
            continue
        if job.expansion is not None:
            _expand(tx, job, of_job, found)
            continue
        definition = definitions.read(job.definition)
        given = supply.supply(definition.interface, job.wiring, of_job, budget.complaint)
        if given.missing is not None:
            found.missing[job.job_id] = given.missing
            continue
        if given.entries:
            taken.append((job, definition, given))
        if job.cache is not None:
            whole = definition.with_overrides(job.overrides)
            cached.append(CachedJob(job, whole, _merged(job.data, given.entries), reuse.stored(job.cache)))
    _write(tx, taken, found)
    found.reused = reusing.look(tx, [one for one in cached if one.job.job_id not in found.missing])
    return found


def unmet(tx: Connection, ids: Sequence[JobId]) -> set[JobId]:
    """Return those of these jobs whose conditions do not hold."""
    if not ids:
        return set()
    parents = _parents(tx, ids)
    return {job.job_id for job in plans.read(tx, ids) if not _is_met(job, parents.get(job.job_id, {}))}


def _is_met(job: ReleasedJob, parents: Mapping[int, Sequence[ParentResults]]) -> bool:
    return supply.all_hold(job.conditions, parents) and not (
        job.expansion is not None and expansion.values_of(job, parents) == []
    )


def _expand(
    tx: Connection, job: ReleasedJob, parents: Mapping[int, Sequence[ParentResults]], found: SuppliedJobs
) -> None:
    values = expansion.values_of(job, parents)
    if isinstance(values, list) and (job.expansion or {}).get("is_file"):
        values = _there(tx, job.project_id, values)
    if isinstance(values, str):
        found.missing[job.job_id] = values
    elif expansion.expand(tx, job, values):
        found.expanded.add(job.job_id)
    else:
        found.skipped.add(job.job_id)


def _there(tx: Connection, project_id: ProjectId, files: list[JsonValue]) -> list[JsonValue] | str:
    """Return the files if all of them are there and of the project, which only their node says so far; else the sentence for one that is not."""
    wanted = cast("set[int]", set(files))
    gone = sorted(wanted - submissions.files(tx, project_id, sorted(wanted)).keys()) if wanted else []
    return _DELETED.format(gone[0]) if gone else files


def _parents(tx: Connection, ids: Sequence[JobId]) -> dict[JobId, dict[int, list[ParentResults]]]:
    parents: dict[JobId, dict[int, list[ParentResults]]] = {}
    for row in plans.results(tx, ids):
        parents.setdefault(row.job_id, {}).setdefault(row.position, []).append(ParentResults(row.results))
    return parents


def missing_error(tx: Connection) -> ErrorId:
    """Return the error of jobs whose input is missing."""
    return error(tx, INPUT_MISSING)


def error(tx: Connection, name: str) -> ErrorId:
    """Return one of our own errors."""
    return errors_by_name.seen_by(tx, [])[None][name].id


def _write(
    tx: Connection, taken: Sequence[tuple[ReleasedJob, Definition, SuppliedInputs]], found: SuppliedJobs
) -> None:
    wanted: dict[ProjectId, set[int]] = {}
    for job, _, given in taken:
        wanted.setdefault(job.project_id, set()).update(given.files)
    sizes = {
        one: file.file_size
        for project_id, ids in wanted.items()
        if ids
        for one, file in submissions.files(tx, project_id, sorted(ids)).items()
    }
    data: dict[JobId, JobDataDocument] = {}
    larger: list[tuple[ReleasedJob, Definition, int]] = []
    for job, definition, given in taken:
        gone = sorted(given.files - sizes.keys())
        if gone:
            found.missing[job.job_id] = _DELETED.format(gone[0])
            continue
        data[job.job_id] = _merged(job.data, given.entries)
        if given.files:
            larger.append((job, definition, -(-sum(sizes[one] for one in given.files) // MIB)))
    plans.write(tx, data)
    _write_amounts(tx, larger)


def _merged(data: JobDataDocument, entries: Sequence[DataEntry]) -> JobDataDocument:
    """Return a job's data with these entries; of a new round, they take the place of those of the last."""
    names = {entry["name"] for entry in entries}
    kept = [entry for entry in data.get("input_data", ()) if entry["name"] not in names]
    return {"version": "1.0", "output_data": [], **data, "input_data": [*kept, *entries]}


def _write_amounts(tx: Connection, jobs: Sequence[tuple[ReleasedJob, Definition, int]]) -> None:
    """Let jobs ask for the room of their input, which is known only now."""
    if not jobs:
        return
    before = plans.shapes(tx, [job.shape_id for job, _, _ in jobs])
    wanted = [_asked(job, definition, mib, before[job.shape_id]) for job, definition, mib in jobs]
    made = shapes.intern(tx, [shape for _, shape in wanted])
    plans.write_amounts(tx, [amounts._replace(shape_id=made[shape.digest()]) for amounts, shape in wanted])


def _asked(
    job: ReleasedJob, definition: Definition, mib: int, shape: Mapping[str, object]
) -> tuple[SuppliedAmounts, NewShape]:
    """Return what a job asks for with so many MiB of input that it takes of others, beside those that it was given."""
    own = NewShape(**{name: shape[name] for name in NewShape.__slots__})  # type: ignore[arg-type]  # a row of the table
    before = job.disk_in // 1_000
    grown_mem = _grown(definition.mem, definition.mem_mult, job.mem, before, mib)
    grown_disk = _grown(definition.disk_out, definition.disk_out_mult, job.disk_out, before, mib)
    disk_in = (before + mib) * 1_000
    facts = {name: getattr(own, name) for name in NewShape.__slots__}
    facts["mem"] = own.mem + stepped(grown_mem)
    facts["disk"] = own.disk + stepped(disk_in) - stepped(job.disk_in) + stepped(grown_disk)
    return (
        SuppliedAmounts(job.job_id, disk_in, job.mem + grown_mem, job.disk_out + grown_disk, job.shape_id),
        NewShape(**facts),
    )


def _grown(least: int, mult: int, asked: int, before: int, mib: int) -> int:
    """Return how much an amount grows with so many more MiB of input: nothing where the job asked for an amount of its own."""
    if not mult or asked != least + scaled(mult, before):
        return 0
    return scaled(mult, before + mib) - scaled(mult, before)
