"""Bulk actions as the API shows them."""

from __future__ import annotations

from typing import cast

from api.http.bulk.schema import OperationKind, OperationStatus, OperationView
from scheduler.store.jobs.operations import OperationRow


def operation(row: OperationRow) -> OperationView:
    """Return how far a bulk action has come."""
    return {
        "id": row.id,
        "kind": cast("OperationKind", row.kind),
        "status": cast("OperationStatus", row.status),
        "filters": row.filters,
        "matched": row.matched,
        "done": row.done,
        "skipped": row.skipped,
        "message": row.message,
        "created": row.created,
        "ended": row.ended,
        "created_by": row.created_by,
    }
