"""Workspaces: the places where files are stored. Exactly one is the default; new files go there unless another is named."""

from __future__ import annotations

from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.files import storage
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, tokens, workspaces
from scheduler.store.admin.workspaces import NewWorkspace, WorkspaceChanges, WorkspaceRow
from scheduler.store.paging import PageWindow, RowCondition, RowPage

ONE_AT_A_TIME = "workspaces"
"""Changes run one at a time: two at once could leave two defaults."""


def create(rt: Runtime, caller: Caller, new: NewWorkspace) -> int:
    """Create a workspace for a folder that exists; return its id. Raises InvalidInput for the url, Conflict for a taken name."""
    _check(new)
    if new["is_default"] and not new["is_active"]:
        raise InvalidInput("the default workspace has to be active", field="is_active")
    with rt.db.begin() as tx:
        tokens.serialize(tx, ONE_AT_A_TIME)
        if new["is_default"]:
            workspaces.clear_default(tx)
        made = workspaces.insert(tx, new)
        if made is None:
            raise Conflict(f"there is a workspace {new['name']!r} already", field="name")
        audit.write(tx, caller.name, "workspace.create", f"workspace:{made}", detail=dict(new))
    return made


def change(rt: Runtime, caller: Caller, workspace_id: int, facts: WorkspaceChanges) -> None:
    """Change a workspace; files stay where they are. Raises NotFound, InvalidInput, Conflict about the default."""
    if "url" in facts:
        storage.check(facts["url"])
    with rt.db.begin() as tx:
        tokens.serialize(tx, ONE_AT_A_TIME)
        row = workspaces.lock(tx, workspace_id)
        if row is None:
            raise NotFound(f"there is no workspace {workspace_id}")
        changed = row._replace(**facts)
        if row.is_default and not changed.is_default:
            raise Conflict("there has to be a default workspace: make another one the default", field="is_default")
        if changed.is_default and not changed.is_active:
            raise Conflict("the default workspace has to be active", field="is_active")
        if changed.is_default and not row.is_default:
            workspaces.clear_default(tx)
        workspaces.update(tx, workspace_id, changed)
        audit.write(tx, caller.name, "workspace.change", f"workspace:{workspace_id}", detail=dict(facts))


def page(rt: Runtime, condition: RowCondition, window: PageWindow) -> RowPage[WorkspaceRow]:
    """Return one page of workspaces."""
    with rt.db.begin() as tx:
        return paging.read(tx, workspaces.WORKSPACES, condition, window)


def get(rt: Runtime, workspace_id: int) -> WorkspaceRow:
    """Return one workspace's row; raises NotFound."""
    rows = page(rt, workspaces.condition((workspace_id,), (), is_active=None), PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no workspace {workspace_id}")
    return rows[0]


def _check(new: NewWorkspace) -> None:
    storage.check(new["url"])
    if new["is_default"] and new["url"].startswith("http"):
        raise InvalidInput("the default workspace has to be one that can be written", field="is_default")
