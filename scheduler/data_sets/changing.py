"""Data sets as a whole: making one, describing it, deleting and restoring it. Sets of other projects are NotFound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from sqlalchemy import Connection

from scheduler.data_sets import working
from scheduler.data_sets.working import StartedWork
from scheduler.documents import Document, JsonValue
from scheduler.errors import Conflict, FaultList, InvalidInput, NotFound
from scheduler.identifiers import DataSetId
from scheduler.identity import Caller
from scheduler.jobs import submit
from scheduler.jobs.admission import AdmissionCheck
from scheduler.rules.data_sets import grid as grids
from scheduler.rules.data_sets.documents import GridDocument
from scheduler.rules.data_sets.words import BLOCK_MODEL, DataSetWork
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit
from scheduler.store.data_sets import listing, sets
from scheduler.store.data_sets.sets import DataSetFilter, DataSetRow, VersionAuthor
from scheduler.store.data_sets.versions import VersionRow
from scheduler.store.paging import PageWindow, RowCondition, RowPage

MIN_NAME, MAX_NAME = 3, 100
MAX_COMMENT = 250


@dataclass(frozen=True, slots=True)
class NewBlockModel:
    """A block model to make. `about` is what people say of it beside its name; it can be changed later, the grid cannot."""

    project: str
    name: str
    grid: GridDocument
    about: Document = field(default_factory=dict)
    comment: str = ""


def create(
    rt: Runtime, caller: Caller, new: NewBlockModel, admission: AdmissionCheck
) -> tuple[DataSetRow, StartedWork]:
    """Make a block model and the job that makes its first version; return both. One transaction.

    Raises InvalidInput for an impossible grid or name, Conflict for a name that is taken, OverQuota.
    """
    name = checked_name(new.name)
    faults = FaultList()
    grids.check(new.grid, faults)
    faults.raise_all()
    author = VersionAuthor(caller.token_id, caller.name)
    with rt.db.begin() as tx:
        project = submit.project_of(tx, new.project)
        definition: Document = {"grid": new.grid}  # type: ignore[dict-item]  # a document, by its keys
        made = sets.insert(tx, project.id, BLOCK_MODEL, name, definition, new.about, author)
        if made is None:
            raise Conflict(f"there is a block model {name!r} in this project already", field="name")
        owner = working.locked(tx, made)
        request: Document = {"comment": _comment(new.comment)}
        started, entered = working.enter(tx, rt, caller, admission, owner, DataSetWork.CREATE, uuid4(), request)
    submit.announce(rt, entered, admission)
    return owner, started


def get(rt: Runtime, caller: Caller, uuid: UUID, project: str | None = None, *, deleted: bool = False) -> DataSetRow:
    """Return a data set that the caller may see; raises NotFound, also for a deleted one unless `deleted`."""
    with rt.db.begin() as tx:
        return found(tx, caller, uuid, project, deleted=deleted)


def get_by_id(rt: Runtime, caller: Caller, data_set_id: DataSetId, *, deleted: bool = False) -> DataSetRow:
    """Return a data set by its number, as `get` does by its UUID."""
    with rt.db.begin() as tx:
        row = sets.by_id(tx, data_set_id)
    if row is None or caller.project_id not in {None, row.project_id} or (row.deleted is not None and not deleted):
        raise NotFound(f"there is no data set {data_set_id}")
    return row


def listed(rt: Runtime, chosen: RowCondition, window: PageWindow) -> RowPage[DataSetRow]:
    """Return one page of data sets."""
    with rt.db.begin() as tx:
        return paging.read(tx, listing.DATA_SETS, chosen, window)


def listed_versions(rt: Runtime, row: DataSetRow, window: PageWindow) -> RowPage[VersionRow]:
    """Return one page of a data set's versions."""
    with rt.db.begin() as tx:
        return paging.read(tx, listing.VERSIONS, listing.of_set(row.id), window)


def page(rt: Runtime, caller: Caller, chosen: DataSetFilter, offset: int, limit: int) -> tuple[list[DataSetRow], int]:
    """Return part of the data sets that the caller may see, the last changed first, and how many there are."""
    if caller.project_id is not None and chosen.project_id not in {None, caller.project_id}:
        return [], 0
    own = chosen if caller.project_id is None else replace(chosen, project_id=caller.project_id)
    with rt.db.begin() as tx:
        return sets.page(tx, own, offset, limit)


def describe(
    rt: Runtime, caller: Caller, uuid: UUID, project: str | None, name: str | None, about: Mapping[str, JsonValue]
) -> DataSetRow:
    """Give a data set another name or say other things of it; None in `about` takes something away.

    Raises NotFound, InvalidInput, Conflict for a name that is taken.
    """
    with rt.db.begin() as tx:
        row = working.locked(tx, found(tx, caller, uuid, project).id)
        meant = row.name if name is None else checked_name(name)
        said = {key: value for key, value in {**row.about, **about}.items() if value is not None}
        if not sets.update(tx, row.id, meant, said, VersionAuthor(caller.token_id, caller.name)):
            raise Conflict(f"there is a block model {meant!r} in this project already", field="name")
        changed = sets.by_id(tx, row.id)
    assert changed is not None  # noqa: S101 - it is locked
    return changed


def delete(rt: Runtime, caller: Caller, uuid: UUID, project: str | None = None) -> None:
    """Delete a data set; it can be restored, with all versions, until retention takes it. Raises NotFound, also for one that is deleted."""
    with rt.db.begin() as tx:
        row = found(tx, caller, uuid, project)
        sets.delete(tx, row.id, VersionAuthor(caller.token_id, caller.name))
        audit.write(tx, caller.name, "data-set.delete", f"data-set:{row.id}")


def restore(rt: Runtime, caller: Caller, uuid: UUID, project: str | None = None) -> DataSetRow:
    """Take the deletion back; safe to repeat. Raises NotFound, Conflict when another set has its name by now."""
    with rt.db.begin() as tx:
        row = working.locked(tx, found(tx, caller, uuid, project, deleted=True).id)
        if row.deleted is not None:
            if not sets.restore(tx, row.id, VersionAuthor(caller.token_id, caller.name)):
                raise Conflict(f"there is a block model {row.name!r} in this project by now; rename that one first")
            audit.write(tx, caller.name, "data-set.restore", f"data-set:{row.id}")
        changed = sets.by_id(tx, row.id)
    assert changed is not None  # noqa: S101 - it is locked
    return changed


def found(
    tx: Connection, caller: Caller, uuid: UUID, project: str | None = None, *, deleted: bool = False
) -> DataSetRow:
    """Return a data set of this project, or of any that the caller may see. Raises NotFound."""
    row = sets.by_uuid(tx, uuid)
    hidden = row is None or (row.deleted is not None and not deleted)
    if row is None or hidden or caller.project_id not in {None, row.project_id} or project not in {None, row.project}:
        raise NotFound(f"there is no data set {uuid}")
    return row


def checked_name(name: str) -> str:
    """Return a name without the blanks around it. Raises InvalidInput."""
    meant = name.strip()
    if not MIN_NAME <= len(meant) <= MAX_NAME or any(sign in "/\\" or ord(sign) < ord(" ") for sign in meant):
        raise InvalidInput(
            f"a name has {MIN_NAME} to {MAX_NAME} characters, without slashes and control characters", field="name"
        )
    return meant


def _comment(comment: str) -> str:
    if len(comment) > MAX_COMMENT:
        raise InvalidInput(f"a comment has at most {MAX_COMMENT} characters", field="comment")
    return comment
