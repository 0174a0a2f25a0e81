"""From what somebody asks for to the rows of new jobs: types resolved, defaults taken, inputs checked, amounts computed.

Jobs of a batch that ask for the same thing are prepared once; only name and data are each job's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from scheduler.documents import JobDataDocument
from scheduler.errors import Conflict, Forbidden, GangerError, InvalidInput
from scheduler.identifiers import JobTypeId, ProjectId, ShapeId
from scheduler.jobs import entry_faults, output_places
from scheduler.jobs.drafts import draft
from scheduler.jobs.entry_faults import EntryFaults
from scheduler.jobs.json_schema import SchemaBudget
from scheduler.jobs.new_job import NewJob, group_key
from scheduler.rules.job_type import awaited, parameters, project_demands, runners
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type import interface as interfaces
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.job_type.interface import InputData, Interface
from scheduler.runtime import Runtime
from scheduler.store.admin import job_types, secrets
from scheduler.store.admin.job_types import ResolvedType
from scheduler.store.jobs import shapes, submissions
from scheduler.store.jobs.shapes import NewShape
from scheduler.store.jobs.submissions import GroupedJob, JobGroup, Project, ReadableFile
from scheduler.store.submission.single import TypeReference
from scheduler.store.uploads.uploads import NewUpload

AD_HOC = ("command", "1.0")
"""The built-in type that commands without a type belong to."""

HORIZON = timedelta(days=10 * 366)
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PreparedSubmission:
    """Rows ready to be written. `shapes` has one entry per group, by the number of the first job in it."""

    groups: list[JobGroup]
    rows: list[GroupedJob]
    shapes: Mapping[int, NewShape]
    shape_ids: Mapping[bytes, ShapeId]
    awaits: Mapping[int, Sequence[NewUpload]] = field(default_factory=dict)
    """What the jobs of a group await, by the number of the group."""


@dataclass(slots=True)
class _Memory:
    """What a process knows of a database that never changes there: revisions, and the ids of shapes."""

    revisions: dict[int, Definition] = field(default_factory=dict)
    shape_ids: dict[bytes, ShapeId] = field(default_factory=dict)


MAX_REMEMBERED = 50_000
_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()


def prepare(
    tx: Connection, rt: Runtime, project: Project, new: Sequence[NewJob], known: ResolvedType | None = None
) -> PreparedSubmission:
    """Return the rows for new jobs; raises EntryError with all that is wrong with any of them.

    `known` is the type that every one of them names, if it was read already.
    """
    memory = _memories.setdefault(rt.db, _Memory())
    rows, drafts = _drafts(tx, rt, memory, project, new, known)
    ids = _interned(tx, memory, [shape for shape, _ in drafts.values()])
    groups = [replace(group, shape_id=ids[shape.digest()]) for shape, group in drafts.values()]
    awaits = {group: draft.awaits(rt, new[number]) for group, number in enumerate(drafts) if new[number].awaits}
    return PreparedSubmission(groups, rows, {number: shape for number, (shape, _) in drafts.items()}, ids, awaits)


def tried(tx: Connection, rt: Runtime, project: Project, new: Sequence[NewJob]) -> list[tuple[NewShape, JobGroup]]:
    """Check new jobs like `prepare`, and return for each its shape and its columns. Writes nothing."""
    memory = _memories.setdefault(rt.db, _Memory())
    rows, drafts = _drafts(tx, rt, memory, project, new)
    in_order = list(drafts.values())
    return [in_order[row.group] for row in rows]


def _drafts(
    tx: Connection,
    rt: Runtime,
    memory: _Memory,
    project: Project,
    new: Sequence[NewJob],
    known: ResolvedType | None = None,
) -> tuple[list[GroupedJob], dict[int, tuple[NewShape, JobGroup]]]:
    """Return the rows, and what the jobs of each group have in common by the number of its first job."""
    faults, project_id = EntryFaults(), project.id
    types = _resolve(tx, project_id, new, faults, known)
    revisions = _revisions(tx, memory, types.values())
    kinds = {number: revisions[one.revision_id] for number, one in types.items()}
    budget = SchemaBudget()
    data = {number: _fitted(number, new[number], kind, faults, budget) for number, kind in kinds.items()}
    sizes = _input_mib(tx, project_id, new, data, kinds, faults)
    output_places.note_unusable(tx, project_id, new, faults)
    numbers: dict[bytes, int] = {}
    firsts: list[int] = []
    rows: list[GroupedJob] = []
    wanted: list[dict[str, str]] = []
    for number, kind in kinds.items():
        job, given = new[number], data[number]
        key = group_key(job, types[number].revision_id, sizes[number])
        group = numbers.setdefault(key, len(numbers))
        if group == len(firsts):
            firsts.append(number)
            wanted.append(definitions.wanted_inputs(kind.with_overrides(draft.overrides(job))))
        if given is not None:
            if wanted[group]:
                _check_parameters(number, wanted[group], given, faults, job)
            environment = _environment(number, job, faults)
            rows.append(GroupedJob(group, job.name, given.document, environment, job.labels or None))
        elif job.environment:
            _environment(number, job, faults)
    for number in firsts:
        _check_leave(number, types[number], kinds[number], faults)
    entry_faults.note_retry_on(tx, project_id, {number: new[number] for number in firsts}, faults)
    _check_secrets(tx, project_id, [(n, new[n], kinds[n]) for n in firsts], faults)
    now = rt.now()
    demands = project.demands
    for number in firsts:
        _check_wishes(number, new[number], kinds[number], now, faults)
        meant = kinds[number].with_overrides(new[number].overrides or {})
        project_demands.note_fault(meant.runner, meant.options, demands, faults.of(number))
    faults.raise_all()
    drafts = {n: draft.draft(new[n], types[n], kinds[n], sizes[n], project_id, now) for n in firsts}
    more = project_demands.constraints(demands)
    return rows, {
        n: (replace(shape, constraints=[*shape.constraints, *more]), group) for n, (shape, group) in drafts.items()
    }


def remember(rt: Runtime, prepared: PreparedSubmission) -> None:
    """Keep the ids of the shapes of a batch whose transaction has committed; earlier they may still be undone."""
    memory = _memories.setdefault(rt.db, _Memory())
    if len(memory.shape_ids) > MAX_REMEMBERED:
        memory.shape_ids.clear()
    memory.shape_ids.update(prepared.shape_ids)


def _resolve(
    tx: Connection, project_id: ProjectId, new: Sequence[NewJob], faults: EntryFaults, known: ResolvedType | None
) -> dict[int, ResolvedType]:
    """Return the type of each job by the job's number, without those that name none that can be used."""
    meant = [_meant(job) for job in new]
    different = set(meant) if known is None else set()
    ids = sorted(one for one in different if isinstance(one, int))
    names = sorted((one for one in different if isinstance(one, tuple)), key=str)
    named = job_types.by_name(tx, project_id, names) if names else {}
    numbered = job_types.by_id(tx, project_id, ids) if ids else {}
    types: dict[int, ResolvedType] = {}
    for number, (job, one) in enumerate(zip(new, meant, strict=True)):
        found = known or (numbered.get(one) if isinstance(one, int) else named.get(one) if one is not None else None)
        wrong = _unusable(job, found)
        if found is not None and wrong is None:
            types[number] = found
        elif wrong is not None:
            faults.add(number, wrong)
    return types


def _meant(job: NewJob) -> JobTypeId | tuple[str, str | None] | None:
    """Return the type that a job names, by its id or by name and version; None where it names none."""
    if job.job_type_id is not None:
        return job.job_type_id
    if job.type_name is not None:
        return job.type_name, job.type_version
    return None if job.command is None else AD_HOC


def reference(job: NewJob) -> TypeReference | None:
    """Return how a job names its type; None where it names none."""
    meant = _meant(job)
    if meant is None:
        return None
    return TypeReference(meant) if isinstance(meant, int) else TypeReference(None, *meant)


def _unusable(job: NewJob, found: ResolvedType | None) -> GangerError | None:
    """Return why a job cannot be of the type that it names; None where it can."""
    by_id = job.job_type_id is not None
    where = "job_type_id" if by_id else "job_type"
    if found is None and not by_id and job.type_name is None and job.command is None:
        return InvalidInput("a job needs a job_type, a job_type_id or a command", field="job_type")
    if found is None:
        meant = job.job_type_id if by_id else " ".join(filter(None, (job.type_name, job.type_version)))
        return InvalidInput(f"there is no job type {meant}", field=where)
    if not found.is_active:
        return Conflict(f"the job type {found.name} {found.version} is archived", field=where)
    ad_hoc = (found.name, found.version) == AD_HOC
    if ad_hoc != (job.command is not None):
        sentence = "the job type has its own command" if job.command is not None else "a command is needed"
        return InvalidInput(sentence, field="command")
    return None


def _revisions(tx: Connection, memory: _Memory, types: Iterable[ResolvedType]) -> dict[int, Definition]:
    wanted = {one.revision_id for one in types}
    missing = [one for one in wanted if one not in memory.revisions]
    if missing:
        if len(memory.revisions) > MAX_REMEMBERED:
            memory.revisions.clear()
        found = job_types.definitions(tx, missing)
        # Revisions of a transaction that is still open cannot be seen here, so these are committed and final.
        memory.revisions.update({one: definitions.read(document) for one, document in found.items()})
    return {one: memory.revisions[one] for one in wanted}


def _fitted(
    number: int, job: NewJob, revision: Definition, faults: EntryFaults, budget: SchemaBudget
) -> InputData | None:
    """Return a job's data in full; None where it does not fit its type."""
    awaits = job.awaits or ()
    if job.data is None and job.inputs is None and not revision.interface.inputs and not awaits and not job.wiring:
        return interfaces.NO_DATA
    if awaits:
        awaited.note_faults(revision.interface, awaits, job.given_inputs, faults.of(number))
    try:
        return interfaces.fit(
            revision.interface,
            data=job.data,
            inputs=job.inputs,
            complaint=budget.complaint,
            awaited={*(one.name for one in awaits), *(job.wiring or ()), *_each(job)},
        )
    except InvalidInput as error:
        faults.add(number, error)
        return None


def _each(job: NewJob) -> set[str]:
    """Return the input that each of the jobs gets for which this one stands."""
    return set() if job.expansion is None else {str(job.expansion["name"])}


def _check_parameters(number: int, wanted: dict[str, str], given: InputData, faults: EntryFaults, job: NewJob) -> None:
    """Refuse a job whose command asks for a value that it does not have: no node could start it."""
    entries = cast("JobDataDocument", given.document).get("input_data", ())
    known = {entry["name"] for entry in entries} | {one.name for one in job.awaits or () if not one.optional}
    parameters.note_missing(wanted, known | set(job.wiring or ()) | _each(job), faults.of(number))


def _environment(number: int, job: NewJob, faults: EntryFaults) -> dict[str, str] | None:
    """Check and return the environment, which is often each job's own."""
    if not job.environment:
        return None
    definitions.note_environment(job.environment, "environment", faults.of(number))
    return job.environment


def _check_wishes(number: int, job: NewJob, revision: Definition, now: datetime, faults: EntryFaults) -> None:
    """Check what the jobs of one group have in common."""
    found = faults.of(number)
    if job.command is not None:
        try:
            definitions.check_argv(job.command, "command")
        except InvalidInput as error:
            found.add(error)
    own = job.overrides or {}
    if ("runner" in own or "options" in own) and job.command is None:
        found.note("only a job with a command of its own says what runs it", field="runner")
    elif "runner" in own or "options" in own:
        meant = revision.with_overrides(own)
        runners.note_faults(meant.runner, meant.options, found)
    if job.not_before is not None and abs(job.not_before - now) > HORIZON:
        found.note("it is more than ten years away", field="not_before")


def _input_mib(
    tx: Connection,
    project_id: ProjectId,
    new: Sequence[NewJob],
    data: Mapping[int, InputData | None],
    kinds: Mapping[int, Definition],
    faults: EntryFaults,
) -> dict[int, int]:
    """Check that every file may be read and is of a type that is taken; return each job's MiB of input by its number."""
    wanted = {one for given in data.values() if given is not None for ids in given.files.values() for one in ids}
    if not wanted:
        return dict.fromkeys(data, 0)
    found = submissions.files(tx, project_id, sorted(wanted))
    sizes: dict[int, int] = {}
    for number, given in data.items():
        files = given.files if given is not None else {}
        if files:
            _check_files(number, new[number], kinds[number].interface, files, found, faults)
        size = sum(found[one].file_size for one in {one for ids in files.values() for one in ids} if one in found)
        sizes[number] = -(-size // MIB)
    return sizes


def _check_files(
    number: int,
    job: NewJob,
    interface: Interface,
    files: Mapping[str, Iterable[int]],
    found: Mapping[int, ReadableFile],
    faults: EntryFaults,
) -> None:
    declared = {one.name: one for one in interface.inputs}
    places = interfaces.input_places(job.data)
    for name, ids in files.items():
        for one in ids:
            if one not in found:
                sentence = f"there is no file {one} to read"
            elif not interfaces.accepts(declared[name], found[one].media_type):
                taken = ", ".join(declared[name].media_types)
                sentence = f"file {one} is {found[one].media_type}; {name!r} takes {taken}"
            else:
                continue
            faults.of(number).note(sentence, field=interfaces.place_of(name, places))


def _check_leave(number: int, kind: ResolvedType, revision: Definition, faults: EntryFaults) -> None:
    """Refuse a type of the installation that names secrets, unless the project lets it: its command reads them."""
    if revision.secrets and not kind.may_have_secrets:
        sentence = (
            f"the job type {kind.name} is the installation's and names secrets ({', '.join(revision.secrets[:5])}); "
            "an admin of the project lets it have them: secret_types of the project"
        )
        faults.add(number, Forbidden(sentence, field="job_type"))


def _check_secrets(
    tx: Connection, project_id: ProjectId, groups: Iterable[tuple[int, NewJob, Definition]], faults: EntryFaults
) -> None:
    wanted = [
        (number, name) for number, job, type_ in groups for name in type_.with_overrides(job.overrides or {}).secrets
    ]
    known = secrets.known(tx, project_id, [name for _, name in wanted]) if wanted else frozenset()
    for number, name in wanted:
        if name not in known:
            faults.of(number).note(f"the project has no secret {name!r}", field="secrets")


def _interned(tx: Connection, memory: _Memory, wanted: Sequence[NewShape]) -> dict[bytes, ShapeId]:
    known = {digest: memory.shape_ids.get(digest) for digest in (shape.digest() for shape in wanted)}
    missing = [shape for shape in wanted if known[shape.digest()] is None]
    made = shapes.intern(tx, missing) if missing else {}
    return {digest: one for digest, one in known.items() if one is not None} | made
