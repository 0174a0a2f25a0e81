"""Workspaces: the places where files are stored. Exactly one is the default; new files go there unless another is named.

A workspace may serve some projects only; to the others it does not exist. The default one serves all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.files import storage
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, tokens, workspaces
from scheduler.store.admin.workspaces import LockedWorkspace, NewWorkspace, WorkspaceChanges, WorkspaceRow
from scheduler.store.jobs import submissions
from scheduler.store.paging import PageWindow, RowCondition, RowPage

ONE_AT_A_TIME = "workspaces"
"""Changes run one at a time: two at once could leave two defaults, or two workspaces in one folder."""


def create(rt: Runtime, caller: Caller, new: NewWorkspace, names: Sequence[str] | None) -> int:
    """Create a workspace for a folder that exists; return its id. `names` are the projects that it serves, None for all.

    Raises InvalidInput for the url or a project, Conflict for a taken name or folder.
    """
    storage.check(new["url"], rt.settings.workspace_roots)
    if new["is_default"] and (not new["is_active"] or names is not None or new["url"].startswith("http")):
        raise InvalidInput(
            "the default workspace is active, serves every project, and can be written", field="is_default"
        )
    with rt.db.begin() as tx:
        tokens.serialize(tx, ONE_AT_A_TIME)
        _check_alone(tx, rt, new["url"], None)
        new = {**new, "project_ids": _ids(tx, names)}
        if new["is_default"]:
            workspaces.clear_default(tx)
        made = workspaces.insert(tx, new)
        if made is None:
            raise Conflict(f"there is a workspace {new['name']!r} already", field="name")
        audit.write(tx, caller.name, "workspace.create", f"workspace:{made}", detail=dict(new))
    return made


def change(
    rt: Runtime, caller: Caller, workspace_id: int, facts: WorkspaceChanges, names: Sequence[str] | None
) -> None:
    """Change a workspace; files stay where they are. `names` counts only if `facts` has `project_ids`, whose value it gives.

    Raises NotFound, InvalidInput, Conflict about the default or the folder.
    """
    if "url" in facts:
        storage.check(facts["url"], rt.settings.workspace_roots)
    with rt.db.begin() as tx:
        tokens.serialize(tx, ONE_AT_A_TIME)
        row = workspaces.lock(tx, workspace_id)
        if row is None:
            raise NotFound(f"there is no workspace {workspace_id}")
        if "url" in facts:
            _check_alone(tx, rt, facts["url"], workspace_id)
        if "project_ids" in facts:
            facts["project_ids"] = _ids(tx, names)
        changed = row._replace(**facts)
        _check_default(changed, was_default=row.is_default)
        if changed.is_default and not row.is_default:
            workspaces.clear_default(tx)
        workspaces.update(tx, workspace_id, changed)
        audit.write(tx, caller.name, "workspace.change", f"workspace:{workspace_id}", detail=dict(facts))


def page(rt: Runtime, condition: RowCondition, window: PageWindow) -> RowPage[WorkspaceRow]:
    """Return one page of workspaces."""
    with rt.db.begin() as tx:
        return paging.read(tx, workspaces.WORKSPACES, condition, window)


def get(rt: Runtime, caller: Caller, workspace_id: int) -> WorkspaceRow:
    """Return one workspace's row; raises NotFound, also for a workspace that does not serve the caller's project."""
    chosen = workspaces.condition((workspace_id,), (), is_active=None, project_id=caller.project_id)
    rows = page(rt, chosen, PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no workspace {workspace_id}")
    return rows[0]


def _ids(tx: Connection, names: Sequence[str] | None) -> list[int] | None:
    if names is None:
        return None
    found = {name: submissions.project(tx, name) for name in dict.fromkeys(names)}
    for number, name in enumerate(names):
        if found[name] is None:
            raise InvalidInput(f"there is no project {name!r}", field=f"projects[{number}]")
    return sorted(project.id for project in found.values() if project is not None)


def _check_alone(tx: Connection, rt: Runtime, url: str, but: int | None) -> None:
    """Refuse a folder that is another workspace's, or within it: whoever may register files there would reach all of it."""
    for other in workspaces.urls(tx, but):
        if storage.overlap(url, other, rt.settings.workspace_roots):
            raise Conflict(f"another workspace has this folder, or a part of it: {other}", field="url")


def _check_default(changed: LockedWorkspace, *, was_default: bool) -> None:
    """Refuse what a default workspace cannot be."""
    if was_default and not changed.is_default:
        raise Conflict("there has to be a default workspace: make another one the default", field="is_default")
    if not changed.is_default:
        return
    if not changed.is_active:
        raise Conflict("the default workspace has to be active", field="is_active")
    if changed.project_ids is not None:
        raise Conflict("the default workspace serves every project", field="projects")
    if changed.url.startswith("http"):
        raise Conflict("the default workspace has to be one that can be written", field="is_default")
