"""Bulk actions as the API shows them."""

from __future__ import annotations

from typing import cast

from api.http.bulk.schema import Count, GroupInCount, OperationKind, OperationStatus, OperationView
from scheduler.jobs.bulk import OperationPreview
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
        "reason": row.arguments.get("reason"),
    }


def count(matching: int, found: OperationPreview) -> Count:
    """Return what a bulk action would meet."""

    def of(key: str) -> list[GroupInCount]:
        return [
            {"value": one.value, "count": one.count, "count_exact": one.exact} for one in found.groups if one.key == key
        ]

    return {
        "count": matching,
        "by_status": of("status"),
        "by_job_type": of("job_type"),
        "by_project": of("project"),
        "others": found.others,
        "samples": [
            {
                "id": row.id,
                "name": row.name,
                "status": row.status,
                "job_type": f"{row.type_name} {row.type_version}",
                "project": row.project,
            }
            for row in found.samples
        ],
    }
