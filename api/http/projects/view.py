"""Projects as the API shows them."""

from __future__ import annotations

from typing import Any

from api.http.schema.fields import units


def entry(row: Any) -> dict[str, Any]:
    """Return a project, limits it does not have as null."""
    quota = row.quota
    return {
        "id": row.id,
        "name": row.name,
        "title": row.title,
        "weight": row.weight,
        "quota": {
            "queued_jobs": quota.get("queued_jobs"),
            "jobs": quota.get("jobs"),
            **{name: None if quota.get(name) is None else units(quota[name]) for name in ("cpus", "mem")},
        },
        "is_paused": row.is_paused,
        "pause_reason": row.pause_reason,
        "usage": round(row.share or 0.0, 6),
        "lag_s": round(row.lag_s or 0.0, 1),
        "created": row.created,
        "last_modified": row.last_modified,
    }


def secret(row: Any) -> dict[str, Any]:
    """Return what may be known of a secret."""
    return {"name": row.name, "created": row.created, "last_modified": row.last_modified}
