"""Named definitions: saved with a name, run by it. Each saving is a new revision, and a run keeps the one that it started with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from scheduler.documents import Document
from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.jobs import submit
from scheduler.rules.workflow.source import DefinitionSource
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit
from scheduler.store.paging import PageWindow, RowCondition, RowPage
from scheduler.store.workflows import saved
from scheduler.store.workflows.saved import SavedRevision, WorkflowTypeRow
from scheduler.workflows import checking, parsing


class SavedType(NamedTuple):
    """A named definition with its newest revision."""

    row: WorkflowTypeRow
    revision: SavedRevision


def save(rt: Runtime, caller: Caller, name: str, definition: str | Document, project: str | None = None) -> SavedType:
    """Save a definition under a new name, and return it. Raises InvalidInput with all that is wrong, Conflict for a name that is taken.

    It is checked as a run would, but for the inputs that a run is given. A name that was archived goes on with its next revision.
    """
    with rt.db.begin() as tx:
        owner = submit.project_of(tx, submit.named_project(caller, project))
        text = _checked(tx, owner.id, definition)
        type_id, is_new = saved.take(tx, owner.id, name)
        row = _locked(tx, caller, type_id)
        if not is_new and row.archived is None:
            raise Conflict(
                f"the project {owner.name} has a workflow type {name!r}; give it a new revision", field="name"
            )
        number = 1 if is_new else row.revision_num + 1
        saved.revise(tx, type_id, number, text, caller.token_id)
        audit.write(tx, caller.name, "workflow-type.create", f"workflow-type:{type_id}", detail={"name": name})
        return _saved(tx, caller, type_id, number)


def revise(rt: Runtime, caller: Caller, type_id: int, definition: str | Document) -> SavedType:
    """Save a new revision of a name; runs keep theirs. Raises NotFound, InvalidInput. The text of the newest makes no new one."""
    with rt.db.begin() as tx:
        row = _locked(tx, caller, type_id)
        text = _checked(tx, row.project_id, definition)
        newest = _revision(tx, row, row.revision_num)
        if newest.definition == text and row.archived is None:
            return SavedType(row, newest)
        saved.revise(tx, type_id, row.revision_num + 1, text, caller.token_id)
        audit.write(tx, caller.name, "workflow-type.revise", f"workflow-type:{type_id}")
        return _saved(tx, caller, type_id, row.revision_num + 1)


def archive(rt: Runtime, caller: Caller, type_id: int) -> None:
    """Let nobody run a name any more; its revisions and runs stay. Raises NotFound."""
    with rt.db.begin() as tx:
        _locked(tx, caller, type_id)
        saved.archive(tx, type_id)
        audit.write(tx, caller.name, "workflow-type.archive", f"workflow-type:{type_id}")


def get(rt: Runtime, caller: Caller, type_id: int, number: int | None = None) -> SavedType:
    """Return a named definition with its newest revision, or the one of this number. Raises NotFound."""
    with rt.db.begin() as tx:
        row = _locked(tx, caller, type_id)
        return SavedType(row, _revision(tx, row, row.revision_num if number is None else number))


def revisions(
    rt: Runtime, caller: Caller, type_id: int, skipped: int, limit: int
) -> tuple[Sequence[SavedRevision], int]:
    """Return revisions of a name, the newest first, and how many there are. Raises NotFound."""
    with rt.db.begin() as tx:
        row = _locked(tx, caller, type_id)
        return saved.revisions(tx, type_id, skipped, limit), row.revision_num


def listed(
    rt: Runtime, caller: Caller, window: PageWindow, names: Sequence[str], *, archived: bool
) -> RowPage[WorkflowTypeRow]:
    """Return one page of named definitions."""
    bound: RowCondition = saved.condition(project_id=caller.project_id, names=names, archived=archived)
    with rt.db.begin() as tx:
        return paging.read(tx, saved.WORKFLOW_TYPES, bound, window)


def meant(tx: Connection, project_id: ProjectId, asked: str) -> SavedRevision:
    """Return the revision that `name` or `name:2` means in a project. Raises InvalidInput."""
    name, colon, number = asked.rpartition(":")
    if not colon or not (number.isascii() and number.isdigit() and len(number) < 10):  # noqa: PLR2004 - as whole numbers are
        name, number = asked, ""
    found = saved.meant(tx, project_id, name, int(number) if number else None)
    if found is None:
        raise InvalidInput(f"there is no workflow type {asked!r}", field="type")
    return found


def _checked(tx: Connection, project_id: ProjectId, definition: str | Document) -> str:
    source = parsing.parse(definition) if isinstance(definition, str) else DefinitionSource(definition)
    checking.checked(tx, project_id, source)
    return definition if isinstance(definition, str) else checking.as_text(source)


def _locked(tx: Connection, caller: Caller, type_id: int) -> WorkflowTypeRow:
    row = saved.lock(tx, type_id)
    if row is None or caller.project_id not in {None, row.project_id}:
        raise NotFound(f"there is no workflow type {type_id}")
    return row


def _revision(tx: Connection, row: WorkflowTypeRow, number: int) -> SavedRevision:
    found = saved.revision(tx, row.id, number)
    if found is None:
        raise NotFound(f"the workflow type {row.name!r} has no revision {number}")
    return found


def _saved(tx: Connection, caller: Caller, type_id: int, number: int) -> SavedType:
    row = _locked(tx, caller, type_id)
    return SavedType(row, _revision(tx, row, number))
