"""Named errors: operators add their own to the built-in ones, so that job types can map exit codes to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Required

from scheduler import owners
from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.identifiers import ErrorId
from scheduler.identity import Caller
from scheduler.rules.lifecycle.failures import FailureCategory
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, errors
from scheduler.store.admin.errors import ErrorChanges, ErrorFilter, ErrorRow
from scheduler.store.paging import PageWindow, RowPage

INSTEAD = "add an error of this name to your project, which its job types then mean"
"""The remedy for a caller of one project, who may not change an error of the installation."""

SYSTEM_IS_OURS = "the category SYSTEM is for the platform's own errors; use DATA or ALGORITHM"


class ErrorFields(ErrorChanges):
    """A named error that somebody adds."""

    name: Required[str]


def create(rt: Runtime, caller: Caller, new: ErrorFields, project: str | None = None) -> ErrorId:
    """Add an error of a project, by default the caller's own, else of the installation; return its id.

    Raises InvalidInput for the category SYSTEM, Conflict for a name that is taken, Forbidden for another project.
    """
    if new["category"] == FailureCategory.SYSTEM:
        raise InvalidInput(SYSTEM_IS_OURS, field="category")
    with rt.db.begin() as tx:
        owner = owners.of_new(tx, caller, project)
        if errors.is_built_in(tx, new["name"]):
            raise Conflict(f"the error {new['name']!r} is built in", field="name")
        made = errors.insert(tx, {**new, "project_id": owner})
        if made is None:
            raise Conflict(f"there is an error {new['name']!r} already", field="name")
        audit.write(
            tx, caller.name, "error.create", f"error:{made}", detail={**new, "project": project or caller.project}
        )
    return made


def change(rt: Runtime, caller: Caller, error_id: ErrorId, facts: ErrorChanges) -> None:
    """Change an error.

    Raises NotFound; InvalidInput for a built-in error or for the category SYSTEM; Forbidden for one of the installation
    and a caller of one project.
    """
    with rt.db.begin() as tx:
        row = errors.lock(tx, error_id)
        if row is None or not owners.sees(caller, row.project_id):
            raise NotFound(f"there is no error {error_id}")
        owners.permit_change(caller, row.project_id, noun="the error", instead=INSTEAD)
        if row.is_builtin:
            raise InvalidInput(f"the error {row.name!r} is built in and cannot be changed")
        if facts.get("category") == FailureCategory.SYSTEM:
            raise InvalidInput(SYSTEM_IS_OURS, field="category")
        errors.update(tx, error_id, row._replace(**facts))
        audit.write(tx, caller.name, "error.change", f"error:{error_id}", detail=dict(facts))


def page(rt: Runtime, caller: Caller, chosen: ErrorFilter, window: PageWindow) -> RowPage[ErrorRow]:
    """Return one page of the errors that the caller sees."""
    with rt.db.begin() as tx:
        seen = replace(chosen, seen_by=caller.project_id)
        return paging.read(tx, errors.ERRORS, errors.condition(seen), window)


def get(rt: Runtime, caller: Caller, error_id: ErrorId) -> ErrorRow:
    """Return one error's row; raises NotFound, also for another project's."""
    rows = page(rt, caller, ErrorFilter(id=(error_id,)), PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no error {error_id}")
    return rows[0]
