"""Job types: create, change, check, list. A change of the definition makes a revision; jobs keep the revision they have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from scheduler import owners
from scheduler.documents import Document
from scheduler.errors import Conflict, FaultList, InvalidInput, NotFound
from scheduler.identifiers import JobTypeId, ProjectId
from scheduler.identity import Caller
from scheduler.jobs import json_schema, priorities
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.job_type.interface import DeclaredInput, DeclaredOutput
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, errors, job_types, type_listing
from scheduler.store.admin.job_types import LockedType, NewJobType, TypeChanges
from scheduler.store.admin.type_listing import RevisionRow, RunningType, TypeRow, TypeStatusCount
from scheduler.store.paging import PageWindow, RowCondition, RowPage

SYSTEM_MAY_CHANGE = {"is_paused", "pause_reason", "max_scheduled"}
"""The only fields of a built-in type that can be changed."""

INSTEAD = "hold your project's jobs of this type, or make a type of this name in your project, which then comes first"
"""The remedy for a caller of one project, who may not change a type of the installation."""


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type by name and version. `project` is the owner that is meant: None is the caller's own, else the installation."""

    name: str
    version: str
    project: str | None = None


@dataclass(frozen=True, slots=True)
class TypeCheck:
    """The result of a check: the error with which the type would be refused, or None; and warnings."""

    error: InvalidInput | Conflict | None
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class WrittenType:
    """The id of a job type that was written, and whether it is new."""

    id: JobTypeId
    is_new: bool = True


def create(rt: Runtime, caller: Caller, meant: TypeName, facts: TypeChanges, part: Document) -> WrittenType:
    """Create a type with its first revision and return its id. A caller of one project makes it there.

    `part` has the given fields of the definition. Raises InvalidInput, Forbidden for another project, or Conflict if the
    owner has this name and version.
    """
    name, version = meant.name, meant.version
    priorities.check(rt.settings, caller, part.get("priority"))
    _weigh_schemas(part)
    with rt.db.begin() as tx:
        new = _new(tx, caller, meant, facts)
        definition, _ = _definition_of(tx, new, part)
        made = job_types.insert(tx, new, definition.document())
        if made is None:
            raise Conflict(f"there is a job type {name} {version} already", field="name")
        detail = {"name": name, "version": version, "project": meant.project or caller.project}
        audit.write(tx, caller.name, "job-type.create", f"job-type:{made}", detail=detail)
    return WrittenType(made)


def put(rt: Runtime, caller: Caller, meant: TypeName, facts: TypeChanges, part: Document) -> WrittenType:
    """Let the owner's type of this name and version be exactly this, or create it. What is left out takes its default.

    A changed definition makes a revision. Raises as `create` does, and Conflict for a built-in type.
    """
    priorities.check(rt.settings, caller, part.get("priority"))
    _weigh_schemas(part)
    with rt.db.begin() as tx:
        new = _new(tx, caller, meant, facts)
        found = job_types.owned(tx, meant.name, meant.version, new.project_id)
        row = None if found is None else job_types.lock(tx, found)
        if found is not None and row is not None:
            if row.is_system:
                raise Conflict("a built-in job type cannot be replaced", field="name")
            owners.permit_change(caller, row.project_id, noun="the job type", instead=INSTEAD)
            definition, _ = _definition_of(tx, new, part)
            plain = {each: getattr(new, each) for each in LockedType._fields if hasattr(new, each)}
            changed = row._replace(**plain)
            if definition.document() != row.definition:
                changed = changed._replace(revision_num=row.revision_num + 1)
                job_types.insert_revision(tx, found, changed.revision_num, definition.document())
            job_types.update(tx, found, changed)
            audit.write(tx, caller.name, "job-type.replace", f"job-type:{found}")
    if found is None:
        return create(rt, caller, meant, facts, part)
    rt.nudge("tick")
    return WrittenType(found, is_new=False)


def change(rt: Runtime, caller: Caller, job_type_id: JobTypeId, facts: TypeChanges, part: Document) -> None:
    """Change a type; a changed definition makes a revision.

    Raises NotFound, InvalidInput, Conflict for a built-in type, Forbidden for the installation's and a caller of one project.
    """
    priorities.check(rt.settings, caller, part.get("priority"))
    _weigh_schemas(part)
    with rt.db.begin() as tx:
        row = job_types.lock(tx, job_type_id)
        if row is None or not owners.sees(caller, row.project_id):
            raise NotFound(f"there is no job type {job_type_id}")
        owners.permit_change(caller, row.project_id, noun="the job type", instead=INSTEAD)
        if row.is_system and (part or not SYSTEM_MAY_CHANGE.issuperset(facts)):
            raise Conflict("of a built-in job type only is_paused, pause_reason and max_scheduled can change")
        changed = _changed(row, facts)
        if part:
            definition, _ = _checked(tx, row.project_id, {**row.definition, **part})
            if definition.document() != row.definition:
                changed = changed._replace(revision_num=row.revision_num + 1)
                job_types.insert_revision(tx, job_type_id, changed.revision_num, definition.document())
        job_types.update(tx, job_type_id, changed)
        audit.write(
            tx, caller.name, "job-type.change", f"job-type:{job_type_id}", detail={"fields": sorted({*facts, *part})}
        )
    rt.nudge("tick")


def check(rt: Runtime, caller: Caller, meant: TypeName, facts: TypeChanges, part: Document) -> TypeCheck:
    """Return the errors and warnings that `create` or `change` would give; change nothing. Raises Forbidden."""
    name, version = meant.name, meant.version
    _weigh_schemas(part)
    with rt.db.begin() as tx:
        try:
            new = _new(tx, caller, meant, facts)
            _, warnings = _definition_of(tx, new, part)
        except (InvalidInput, Conflict) as error:
            return TypeCheck(error, [])
        taken = job_types.exists(tx, name, version, new.project_id)
    if taken:
        warnings.append(f"there is a job type {name} {version} already; creating it would be refused")
    return TypeCheck(None, warnings)


def page(rt: Runtime, caller: Caller, chosen: type_listing.TypeFilter, window: PageWindow) -> RowPage[TypeRow]:
    """Return one page of the job types that the caller sees."""
    with rt.db.begin() as tx:
        seen = replace(chosen, seen_by=caller.project_id)
        return paging.read(tx, type_listing.TYPES, type_listing.condition(seen), window)


def get(rt: Runtime, caller: Caller, job_type_id: JobTypeId) -> tuple[TypeRow, Definition]:
    """Return a type's row and its current definition; raises NotFound, also for another project's."""
    with rt.db.begin() as tx:
        return _get(tx, caller, job_type_id)


def find(rt: Runtime, caller: Caller, meant: TypeName) -> JobTypeId:
    """Return the id of a type by name and version: the named project's, else the caller's own, else the installation's.

    Raises NotFound, which names the parameter where only projects have such a type.
    """
    if caller.project is not None and meant.project not in {None, caller.project}:
        raise NotFound(f"there is no job type {meant.name} {meant.version}")
    with rt.db.begin() as tx:
        found = type_listing.owners_of(tx, meant.name, meant.version)
    seen = {one.project: one.id for one in found if owners.sees(caller, one.project_id)}
    for owner in (meant.project,) if meant.project is not None else (caller.project, None):
        if owner in seen:
            return seen[owner]
    others = sorted(owner for owner in seen if owner is not None) if meant.project is None else []
    hint = f"; the project {others[0]!r} has one, see the parameter project" if others else ""
    raise NotFound(f"there is no job type {meant.name} {meant.version}{hint}")


def revisions(rt: Runtime, caller: Caller, job_type_id: JobTypeId, window: PageWindow) -> RowPage[RevisionRow]:
    """Return one page of a type's revisions; raises NotFound."""
    with rt.db.begin() as tx:
        _get(tx, caller, job_type_id)
        condition = RowCondition("j.job_type_id = :id", {"id": job_type_id})
        return paging.read(tx, type_listing.REVISIONS, condition, window)


def revision(rt: Runtime, caller: Caller, job_type_id: JobTypeId, revision_num: int) -> RevisionRow:
    """Return one revision's row; raises NotFound."""
    with rt.db.begin() as tx:
        _get(tx, caller, job_type_id)
        condition = RowCondition(
            "j.job_type_id = :id AND j.revision_num = :num", {"id": job_type_id, "num": revision_num}
        )
        rows = paging.read(tx, type_listing.REVISIONS, condition, PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"the job type has no revision {revision_num}")
    return rows[0]


def statuses(rt: Runtime, caller: Caller, started: datetime | None, ended: datetime | None) -> list[TypeStatusCount]:
    """Return counts of jobs by type, status and error category: the jobs of the time window, and all that run now."""
    with rt.db.begin() as tx:
        return type_listing.statuses(tx, project_id=caller.project_id, started=started, ended=ended)


def running(rt: Runtime, caller: Caller) -> list[RunningType]:
    """Return how many jobs of each type run, and since when the first one runs."""
    with rt.db.begin() as tx:
        return type_listing.running(tx, project_id=caller.project_id)


def _get(tx: Connection, caller: Caller, job_type_id: JobTypeId) -> tuple[TypeRow, Definition]:
    condition = type_listing.condition(type_listing.TypeFilter(id=(job_type_id,), seen_by=caller.project_id))
    rows = paging.read(tx, type_listing.TYPES, condition, PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no job type {job_type_id}")
    return rows[0], definitions.read(rows[0].definition)


def _new(tx: Connection, caller: Caller, meant: TypeName, facts: TypeChanges) -> NewJobType:
    """Return the row of a new type with its owner. Raises InvalidInput, Forbidden, Conflict for a built-in type's name."""
    owner = owners.of_new(tx, caller, meant.project)
    if owner is not None and job_types.is_built_in(tx, meant.name):
        raise Conflict(f"{meant.name!r} is the name of a built-in job type; choose another", field="name")
    return NewJobType(meant.name, meant.version, **facts, project_id=owner)


def _with_defaults(new: NewJobType, part: Document) -> Document:
    """Return the whole definition. A long-running type has no time limit unless one is given."""
    unlimited: Document = {"timeout_s": None} if new.is_long_running else {}
    return {**Definition().document(), **unlimited, **part}


def _weigh_schemas(given: Document) -> None:
    """Check the schemas of a definition before any lock is held: it may take a moment, and what was found is remembered.

    Raises InvalidInput for more patterns than the schemas of a definition may have together.
    """
    together = 0
    interface = given.get("interface")
    parts = [interface.get(name) for name in ("input_data", "output_data")] if isinstance(interface, dict) else []
    for declared in parts:
        for one in declared if isinstance(declared, list) else ():
            schema = one.get("schema") if isinstance(one, dict) else None
            if isinstance(schema, dict):
                together += json_schema.patterns_kib(schema)
            if together > json_schema.MAX_PATTERNS_KIB:
                sentence = (
                    f"the patterns of all schemas are compiled to at most {json_schema.MAX_PATTERNS_KIB} KiB together"
                )
                raise InvalidInput(sentence, field="interface")


def _definition_of(tx: Connection, new: NewJobType, part: Document) -> tuple[Definition, list[str]]:
    """Return the definition of a new type and what is doubtful about it; raises InvalidInput with all that is wrong."""
    faults = FaultList()
    try:
        _check_pause(new)
    except InvalidInput as error:
        faults.add(error)
    try:
        found = _checked(tx, new.project_id, _with_defaults(new, part))
    except InvalidInput as error:
        faults.add(error)
        raise faults.together() from None
    faults.raise_all()
    return found


def _checked(tx: Connection, owner: ProjectId | None, document: Document) -> tuple[Definition, list[str]]:
    faults = FaultList()
    try:
        definition = definitions.read(document)
    except InvalidInput as error:
        faults.add(error)
        definition = definitions.read({**document, "interface": {}})  # to see what is wrong with the rest
    parts: dict[str, Iterable[DeclaredInput | DeclaredOutput]] = {
        "input_data": definition.interface.inputs,
        "output_data": definition.interface.outputs,
    }
    for part, declared in parts.items():
        for number, one in enumerate(declared):
            wrong = json_schema.fault(one.schema) if one.schema is not None else None
            if wrong is not None:
                where = f"interface.{part}[{number}].schema"
                faults.note(f"the schema of {one.name!r} is wrong: {wrong}", field=where)
    try:
        warnings = definitions.check(
            definition, known_errors=errors.names(tx, owner), complaint=json_schema.SchemaBudget().complaint
        )
    except InvalidInput as error:
        faults.add(error)
        warnings = []
    faults.raise_all()
    return definition, warnings


def _changed(row: LockedType, facts: TypeChanges) -> LockedType:
    """Return the type with the change. To resume a type always clears the reason of its pause."""
    changed = row._replace(pause_reason=None) if facts.get("is_paused") is False else row
    changed = changed._replace(**facts)
    _check_pause(changed)
    return changed


def _check_pause(changed: NewJobType | LockedType) -> None:
    if changed.pause_reason is not None and not changed.is_paused:
        raise InvalidInput("a pause_reason is only for a type that is paused", field="pause_reason")
