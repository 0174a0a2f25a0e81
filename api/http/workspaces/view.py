"""Workspaces as the API shows them."""

from __future__ import annotations

from api.http.workspaces.schema import WorkspaceView
from scheduler.store.admin.workspaces import WorkspaceRow


def entry(row: WorkspaceRow) -> WorkspaceView:
    """Return a workspace."""
    return {
        "id": row.id,
        "name": row.name,
        "title": row.title,
        "url": row.url,
        "is_active": row.is_active,
        "is_default": row.is_default,
        "projects": row.projects,
        "register_role": row.register_role,
        "created": row.created,
        "last_modified": row.last_modified,
    }
