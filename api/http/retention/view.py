"""Purges as the API shows them."""

from __future__ import annotations

from typing import cast

from api.http.retention.schema import DueView, GoneView, PurgedKind
from scheduler.retention.purges import DueItem
from scheduler.store.retention.gone import PurgedAmount


def due(item: DueItem) -> DueView:
    """Return what is kept no longer."""
    return {
        "project": item.project,
        "what": cast("PurgedKind", item.what),
        "status": item.status,
        "count": item.count,
        "bytes": item.size,
        "oldest": item.oldest,
    }


def gone(row: PurgedAmount, project: str | None) -> GoneView:
    """Return what was purged of a project."""
    return {
        "project": project,
        "what": cast("PurgedKind", row.what),
        "count": row.count,
        "bytes": row.size,
        "last": row.last,
    }
