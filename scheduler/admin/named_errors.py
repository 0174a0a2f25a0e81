"""Named errors: operators add their own to the built-in ones, so that job types can map exit codes to them."""

from __future__ import annotations

from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.identifiers import ErrorId
from scheduler.identity import Caller
from scheduler.rules.lifecycle.failures import FailureCategory
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, errors
from scheduler.store.admin.errors import ErrorChanges, ErrorFilter, ErrorRow, NewError
from scheduler.store.paging import PageWindow, RowPage

SYSTEM_IS_OURS = "the category SYSTEM is for the platform's own errors; use DATA or ALGORITHM"


def create(rt: Runtime, caller: Caller, new: NewError) -> ErrorId:
    """Add an error and return its id. Raises InvalidInput for the category SYSTEM, Conflict for a name that is taken."""
    if new["category"] == FailureCategory.SYSTEM:
        raise InvalidInput(SYSTEM_IS_OURS, field="category")
    with rt.db.begin() as tx:
        made = errors.insert(tx, new)
        if made is None:
            raise Conflict(f"there is an error {new['name']!r} already", field="name")
        audit.write(tx, caller.name, "error.create", f"error:{made}", detail=dict(new))
    return made


def change(rt: Runtime, caller: Caller, error_id: ErrorId, facts: ErrorChanges) -> None:
    """Change an error. Raises NotFound; InvalidInput for a built-in error or for the category SYSTEM."""
    with rt.db.begin() as tx:
        row = errors.lock(tx, error_id)
        if row is None:
            raise NotFound(f"there is no error {error_id}")
        if row.is_builtin:
            raise InvalidInput(f"the error {row.name!r} is built in and cannot be changed")
        if facts.get("category") == FailureCategory.SYSTEM:
            raise InvalidInput(SYSTEM_IS_OURS, field="category")
        errors.update(tx, error_id, row._replace(**facts))
        audit.write(tx, caller.name, "error.change", f"error:{error_id}", detail=dict(facts))


def page(rt: Runtime, chosen: ErrorFilter, window: PageWindow) -> RowPage[ErrorRow]:
    """Return one page of errors."""
    with rt.db.begin() as tx:
        return paging.read(tx, errors.ERRORS, errors.condition(chosen), window)


def get(rt: Runtime, error_id: ErrorId) -> ErrorRow:
    """Return one error's row; raises NotFound."""
    rows = page(rt, ErrorFilter(id=(error_id,)), PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no error {error_id}")
    return rows[0]
