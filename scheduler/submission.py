"""Submit: one job or ten thousand, all or nothing, once per idempotency key.

The key's row is written first and in the same transaction as the jobs, so that whoever repeats a request, even after
a crash between our commit and our answer, gets the ids of the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from scheduler import preparation
from scheduler.errors import Conflict, Forbidden, InvalidInput, OverQuota
from scheduler.preparation import AtEntry, NewJob, Prepared
from scheduler.runtime import Runtime
from scheduler.store import submissions, tokens
from scheduler.tokens import Caller

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key: the digest of the request it came with, and which jobs of the batch it covers."""

    key: str
    digest: bytes
    covers: range


@dataclass(frozen=True, slots=True)
class Submitted:
    """One id per job in the order they were given; `replayed` when every one was there before."""

    job_ids: list[int] = field(default_factory=list)
    replayed: bool = False


def submit(
    rt: Runtime,
    caller: Caller,
    new: Sequence[NewJob],
    *,
    keys: Sequence[Key] = (),
    strict: bool = False,
    many: bool = False,
) -> Submitted:
    """Create jobs, all or none; a repeated key gives the jobs of the first time.

    One transaction. Raises InvalidInput naming the entry at fault, Conflict for an archived type or a key that was
    used for something else, OverQuota. With `strict`, a job larger than every node is refused too; with `many`, what is
    wrong with an entry is named by its number.
    """
    name = _project_name(caller, new)
    prepared = None
    ids: list[int] = []
    with rt.db.begin() as tx:
        project = submissions.project(tx, name)
        if project is None:
            raise InvalidInput(f"there is no project {name!r}", field="project")
        known = _replay(tx, project.id, keys)
        fresh = [number for number in range(len(new)) if number not in known]
        if fresh:
            prepared = _prepare(tx, rt, project, new, fresh, strict=strict, many=many)
            ids = submissions.insert(tx, project.id, prepared.groups, prepared.rows, caller.token_id)
        made = known | dict(zip(fresh, ids, strict=True))
        taken = {key.key: [made[number] for number in key.covers] for key in keys if key.covers.start not in known}
        if taken:
            submissions.fill_keys(tx, project.id, taken)
    if prepared is not None:
        preparation.remember(rt, prepared)
        rt.nudge("tick")
    return Submitted([made[number] for number in range(len(new))], replayed=not fresh)


def _project_name(caller: Caller, new: Sequence[NewJob]) -> str:
    names = {job.project for job in new if job.project is not None}
    if len(names) > 1:
        raise InvalidInput("the jobs of one request belong to one project", field="project")
    own = caller.project
    name = names.pop() if names else own or DEFAULT_PROJECT
    if own is not None and name != own:
        raise Forbidden("the token is bound to another project", field="project")
    return name


def _replay(tx: Connection, project_id: int, keys: Sequence[Key]) -> dict[int, int]:
    """Take the keys; return the ids of jobs that earlier requests with them made, by number in this batch."""
    if not keys:
        return {}
    before = submissions.take_keys(tx, project_id, {key.key: key.digest for key in keys})
    known: dict[int, int] = {}
    for key in keys:
        kept = before.get(key.key)
        if kept is None:
            continue
        if kept.digest != key.digest or len(kept.job_ids) != len(key.covers):
            raise Conflict(f"the idempotency key {key.key!r} was used for another request", field="idempotency_key")
        known.update(zip(key.covers, kept.job_ids, strict=True))
    return known


def _prepare(
    tx: Connection, rt: Runtime, project: Any, new: Sequence[NewJob], fresh: list[int], *, strict: bool, many: bool
) -> Prepared:
    _check_quota(tx, project, len(fresh))
    try:
        prepared = preparation.prepare(tx, rt, project.id, [new[number] for number in fresh])
        if strict:
            _refuse_unplaceable(tx, prepared)
    except AtEntry as error:
        raise error.named(fresh if many else None) from None
    return prepared


def _check_quota(tx: Connection, project: Any, count: int) -> None:
    most = project.quota.get("queued_jobs")
    if most is None:
        return
    tokens.serialize(tx, f"quota of project {project.id}")  # what others are submitting counts too
    if submissions.waiting(tx, project.id, most) + count > most:
        raise OverQuota(f"the project {project.name!r} may have {most} jobs waiting, and would have more")


def _refuse_unplaceable(tx: Connection, prepared: Prepared) -> None:
    for number, shape in prepared.shapes.items():
        if not submissions.fits_a_node(tx, cpus=shape.cpus, mem=shape.mem, disk=shape.disk, pool=shape.pool):
            raise AtEntry(number, InvalidInput("it asks for more than any node has"))
