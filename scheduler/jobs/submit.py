"""Submit: creates one job or ten thousand, all or none, and only once for each idempotency key.

The row of the key is written first and in the same transaction as the jobs. So a client that repeats a request, even after
a crash between our commit and our answer, gets the ids of the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from scheduler.errors import (
    Conflict,
    FaultList,
    Forbidden,
    GangerError,
    InvalidInput,
    OverQuota,
    ServiceUnavailable,
)
from scheduler.identifiers import JobId, ProjectId
from scheduler.identity import Caller
from scheduler.jobs import priorities, queries, resolve
from scheduler.jobs.admission import AdmissionCheck, UnplaceableJobs, refuse_unplaceable, unplaceable
from scheduler.jobs.drafts import targets
from scheduler.jobs.entry_faults import EntryError
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.queries import FullJob
from scheduler.jobs.resolve import PreparedSubmission
from scheduler.needs import batch, children, wiring, writing
from scheduler.needs.batch import BatchNeeds
from scheduler.runtime import Runtime
from scheduler.store import large_batches
from scheduler.store.admin import tokens, workspaces
from scheduler.store.admin.job_types import ResolvedType
from scheduler.store.jobs import submissions
from scheduler.store.jobs.submissions import Project
from scheduler.store.submission import single
from scheduler.store.submission.single import TypeReference
from scheduler.store.uploads import uploads

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An idempotency key, the digest of its request, and the jobs of the batch that it covers."""

    key: str
    digest: bytes
    covers: range


@dataclass(frozen=True, slots=True)
class Submission:
    """Jobs that are submitted together, in order, with the idempotency keys that cover them.

    With `strict` all are refused if one could never be placed as things are. With `many` the request is a list, and errors
    name the entry at fault by its number.
    """

    jobs: Sequence[NewJob]
    keys: Sequence[IdempotencyKey] = ()
    strict: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Submitted:
    """The ids of the jobs in the order of the request; `replayed` if every one existed before.

    `hopeless` has the new jobs that could never be placed as things are, by their number in the request. `whole` is a single job in
    full, where it was read with its submission.
    """

    job_ids: list[JobId] = field(default_factory=list)
    replayed: bool = False
    hopeless: list[UnplaceableJobs] = field(default_factory=list)
    whole: FullJob | None = None


@dataclass(frozen=True, slots=True)
class EnteredJobs:
    """Jobs whose rows are written: their ids in the order of the request, and the numbers of those that are new."""

    project: Project
    job_ids: list[JobId]
    fresh: list[int]
    prepared: PreparedSubmission | None


def submit(rt: Runtime, caller: Caller, submission: Submission, admission: AdmissionCheck) -> Submitted:
    """Create jobs, all or none; a repeated key gives the jobs of the first time.

    One transaction. Raises InvalidInput that names the entry at fault, Conflict for an archived type or a key that was
    used for another request, OverQuota. `admission` tells which jobs could never be placed.
    """
    check_priorities(rt, caller, submission)
    name = project_name(caller, submission.jobs)
    made_alone = _submit_alone(rt, caller, name, submission, admission)
    if made_alone is not None:
        return made_alone
    with rt.db.begin() as tx, large_batches.of(tx, len(submission.jobs)):
        entered = enter(tx, rt, caller, project_of(tx, name), submission, admission)
    return announce(rt, entered, admission)


def enter(
    tx: Connection,
    rt: Runtime,
    caller: Caller,
    project: Project,
    submission: Submission,
    admission: AdmissionCheck,
) -> EnteredJobs:
    """Write the rows of new jobs in a transaction of the caller's, who calls `announce` once it has committed.

    Raises as `submit` does.
    """
    prepared, ids = None, list[JobId]()
    known = _replay(tx, project.id, submission.keys)
    fresh = [number for number in range(len(submission.jobs)) if number not in known]
    if fresh:
        wanted = _needs(submission, fresh)
        prepared = _prepare(tx, rt, project, submission, fresh, admission)
        rows = [
            replace(row, followers=wanted.levels[number]) if number in wanted.levels else row
            for number, row in zip(fresh, prepared.rows, strict=True)
        ]
        ids = submissions.insert(tx, project.id, prepared.groups, rows, caller.token_id, caller.name)
        made = known | dict(zip(fresh, ids, strict=True))
        _refuse(writing.write(tx, project.id, wanted, made, fresh), submission)
        revisions = [prepared.groups[row.group].revision_id for row in prepared.rows]
        wanted_parents = {n: one for n in fresh if (one := submission.jobs[n].parent_job_id) is not None}
        _refuse(children.adopt(tx, project.id, wanted_parents, made), submission)
        _refuse(wiring.misfits(tx, submission.jobs, fresh, ids, revisions), submission)
        _await(tx, rt, project, prepared, ids)
    made = known | dict(zip(fresh, ids, strict=True))
    _fill_keys(tx, project.id, [key for key in submission.keys if key.covers.start not in known], made)
    return EnteredJobs(project, [made[number] for number in range(len(submission.jobs))], fresh, prepared)


def announce(rt: Runtime, entered: EnteredJobs, admission: AdmissionCheck) -> Submitted:
    """Wake the leader for jobs that are committed now; return their ids, and which of them could never be placed."""
    hopeless: list[UnplaceableJobs] = []
    if entered.prepared is not None:
        resolve.remember(rt, entered.prepared)
        rt.nudge("tick")
        found = unplaceable(entered.prepared, admission, entered.project)
        hopeless = [replace(one, first=entered.fresh[one.first]) for one in found]
    return Submitted(entered.job_ids, replayed=not entered.fresh, hopeless=hopeless)


def _submit_alone(
    rt: Runtime, caller: Caller, name: str, submission: Submission, admission: AdmissionCheck
) -> Submitted | None:
    """Create a single job by one statement; None where that takes more, where its key was used, or where it may have been.

    Project and type are remembered from the submission before. Where they have changed since nothing is written, and it is tried once
    more with what is so now.
    """
    job, *others = submission.jobs
    reference = resolve.reference(job)
    if (
        others
        or submission.many
        or job.needs
        or job.key
        or job.group
        or job.awaits
        or job.parent_job_id
        or reference is None
    ):
        return None
    made = _write_alone(rt, caller, name, submission, admission, reference)
    if made is None:
        return None
    prepared, project, whole = made
    resolve.remember(rt, prepared)
    rt.nudge("tick")
    return Submitted([whole.row.id], hopeless=[*unplaceable(prepared, admission, project)], whole=whole)


def _write_alone(
    rt: Runtime, caller: Caller, name: str, submission: Submission, admission: AdmissionCheck, reference: TypeReference
) -> tuple[PreparedSubmission, Project, FullJob] | None:
    """Write a single job, and return what was written; raises what refuses it, unless it has a key.

    A repetition is answered as the first time, whatever has become of its type since.
    """
    keys = submission.keys
    key = (keys[0].key, keys[0].digest) if keys else None
    known, refused = targets.remembered(rt, name, reference), None
    with rt.keyed.connect() as tx:
        for to in (known, None) if known is not None else (None,):
            found = to or targets.read(rt, tx, name, reference)
            if found is None or found.project.quota.get("queued_jobs") is not None:
                return None
            if to is None and known is not None and found.mark == known.mark:
                break  # nothing has changed: the job is refused, or its key was used
            try:
                prepared = _prepare(tx, rt, found.project, submission, [0], admission, found.type)
            except GangerError as error:
                refused = error
                continue
            refused, creator = None, (caller.token_id, caller.name)
            made = single.insert(tx, found, reference, prepared.groups[0], prepared.rows[0], creator, key)
            if made is not None:
                return prepared, found.project, queries.full(tx, *made)
    if refused is not None and not keys:
        raise refused
    return None


def create(tx: Connection, rt: Runtime, caller: Caller, submission: Submission) -> list[JobId]:
    """Create jobs that need no others within a transaction that somebody else has begun, and return their ids. All or none.

    Raises InvalidInput, Conflict, Forbidden, OverQuota as `submit` does. Nothing is known of keys here, nor of what could never be placed.
    """
    check_priorities(rt, caller, submission)
    project = project_of(tx, project_name(caller, submission.jobs))
    check_quota(tx, project, len(submission.jobs))
    try:
        prepared = resolve.prepare(tx, rt, project, submission.jobs)
    except EntryError as error:
        raise error.named(range(len(submission.jobs)) if submission.many else None) from None
    return submissions.insert(tx, project.id, prepared.groups, prepared.rows, caller.token_id, caller.name)


def _needs(submission: Submission, fresh: Sequence[int]) -> BatchNeeds:
    """Return the needs of the jobs of a submission; raises InvalidInput with all that is wrong with any of them."""
    wanted, own = batch.read(submission.jobs), set(fresh)
    _refuse({number: faults for number, faults in wanted.faults.items() if number in own}, submission)
    return wanted


def _refuse(found: Mapping[int, FaultList], submission: Submission) -> None:
    if found:
        told = {number: faults.together() for number, faults in found.items() if faults.is_told}
        others = sum(faults.count for number, faults in found.items() if number not in told)
        first = next(iter(found))
        error = EntryError(told, others) if told else EntryError({first: found[first].together()}, others)
        raise error.named(range(len(submission.jobs)) if submission.many else None) from None


def _await(tx: Connection, rt: Runtime, project: Project, prepared: PreparedSubmission, ids: Sequence[JobId]) -> None:
    """Note which inputs of new jobs are still to be uploaded. Raises ServiceUnavailable where nothing could be."""
    rows = zip(prepared.rows, ids, strict=True)
    awaits = {job_id: prepared.awaits[row.group] for row, job_id in rows if row.group in prepared.awaits}
    if not awaits:
        return
    if rt.keyring.first is None:
        raise ServiceUnavailable(
            "this API has no key to sign upload links with: GANGER_SECRETS_KEY or GANGER_SECRETS_KEY_FILE"
        )
    workspace = workspaces.default(tx)
    if workspace is None:
        raise ServiceUnavailable("there is no default workspace")
    uploads.insert(tx, project.id, workspace.id, awaits)


def check_priorities(rt: Runtime, caller: Caller, submission: Submission) -> None:
    """Raise Forbidden for a job that is more urgent than the caller may make it."""
    for number, job in enumerate(submission.jobs):
        where = f"[{number}].priority" if submission.many else "priority"
        priorities.check(rt.settings, caller, job.priority, where)


def project_of(tx: Connection, name: str) -> Project:
    """Return the project of this name; raises InvalidInput."""
    found = submissions.project(tx, name)
    if found is None:
        raise InvalidInput(f"there is no project {name!r}", field="project")
    return found


def project_name(caller: Caller, new: Sequence[NewJob]) -> str:
    """Return the project of new jobs; raises InvalidInput or Forbidden."""
    names = {job.project for job in new if job.project is not None}
    if len(names) > 1:
        raise InvalidInput("the jobs of one request belong to one project", field="project")
    return named_project(caller, names.pop() if names else None)


def named_project(caller: Caller, name: str | None) -> str:
    """Return the project that a caller means: the one that is named, else his own, else the default. Raises Forbidden."""
    meant = name or caller.project or DEFAULT_PROJECT
    if caller.project not in {None, meant}:
        raise Forbidden("the token is bound to another project", field="project")
    return meant


def _replay(tx: Connection, project_id: ProjectId, keys: Sequence[IdempotencyKey]) -> dict[int, JobId]:
    """Reserve the keys; return the ids of jobs that earlier requests with these keys created, by number in this batch."""
    if not keys:
        return {}
    before = submissions.take_keys(tx, project_id, {key.key: key.digest for key in keys})
    known: dict[int, JobId] = {}
    for key in keys:
        kept = before.get(key.key)
        if kept is None:
            continue
        if kept.digest != key.digest or len(kept.job_ids) != len(key.covers):
            raise Conflict(f"the idempotency key {key.key!r} was used for another request", field="idempotency_key")
        known.update(zip(key.covers, kept.job_ids, strict=True))
    return known


def _fill_keys(
    tx: Connection, project_id: ProjectId, keys: Sequence[IdempotencyKey], made: Mapping[int, JobId]
) -> None:
    if keys:
        submissions.fill_keys(tx, project_id, {key.key: [made[number] for number in key.covers] for key in keys})


def _prepare(
    tx: Connection,
    rt: Runtime,
    project: Project,
    submission: Submission,
    fresh: Sequence[int],
    admission: AdmissionCheck,
    known: ResolvedType | None = None,
) -> PreparedSubmission:
    """Return the rows of the jobs with these numbers, which no earlier request has made. `known` is the type of all, if it was read before."""
    check_quota(tx, project, len(fresh))
    try:
        prepared = resolve.prepare(tx, rt, project, [submission.jobs[number] for number in fresh], known)
        if submission.strict:
            refuse_unplaceable(prepared, admission, project)
    except EntryError as error:
        raise error.named(fresh if submission.many else None) from None
    return prepared


def check_quota(tx: Connection, project: Project, count: int) -> None:
    """Raise OverQuota if the project may not have `count` more jobs waiting."""
    most = project.quota.get("queued_jobs")
    if most is None:
        return
    tokens.serialize(tx, f"quota of project {project.id}")  # jobs of submissions that are not committed yet count too
    if submissions.waiting(tx, project.id, most) + count > most:
        raise OverQuota(f"the project {project.name!r} may have {most} jobs waiting, and would have more")
