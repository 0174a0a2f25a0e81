"""Pools as the API shows them."""

from __future__ import annotations

from typing import Any

from api.http.schema.fields import units
from scheduler.pools.pools import PoolWithCounts
from scheduler.store.nodes.pool_rows import DecisionDetail, PoolEventRow

_PLAIN = ("cpus", "mem", "disk")


def entry(seen: PoolWithCounts) -> dict[str, Any]:
    """Return a pool: what is wanted of it, what was decided, what it has."""
    row, counts = seen.row, seen.counts
    detail = row.detail or {}
    return {
        "name": row.name,
        "sizing": row.sizing,
        "size": row.size,
        "min": row.smallest,
        "max": row.largest,
        "drivers": row.drivers,
        "template": None if row.template is None else {name: units(amount) for name, amount in row.template.items()},
        "labels": row.labels,
        "settings": row.settings,
        "is_paused": row.is_paused,
        "pause_reason": row.pause_reason,
        "nodes": {
            "total": counts.nodes if counts else 0,
            "ready": counts.ready if counts else 0,
            "draining": counts.draining if counts else 0,
            "silent": counts.silent if counts else 0,
        },
        "resources": {
            name: {
                "total": units(getattr(counts, name)) if counts else 0,
                "scheduled": units(getattr(counts, f"used_{name}")) if counts else 0,
            }
            for name in _PLAIN
        },
        "running": counts.running if counts else 0,
        **_decision(row, detail),
        "created": row.created,
        "last_modified": row.last_modified,
    }


def wanted(seen: PoolWithCounts) -> dict[str, Any]:
    """Return the numbers that a scaler outside follows; a pool that nobody sizes wants what it has."""
    row = seen.row
    present = seen.counts.nodes if seen.counts else 0
    decision = _decision(row, row.detail or {})
    return {
        "wanted": present if decision["wanted"] is None else decision["wanted"],
        "present": present,
        "starting": decision["starting"],
        "unmet": decision["unmet"],
    }


def event(row: PoolEventRow) -> dict[str, Any]:
    """Return something that happened to a pool."""
    return row._asdict()


def _decision(row: Any, detail: DecisionDetail) -> dict[str, Any]:
    decided = row.sizing != "free" and row.decided is not None
    return {
        "wanted": row.wanted if decided else None,
        "present": row.present if decided else None,
        "starting": row.starting if decided else 0,
        "why": row.why if decided else None,
        "trouble": row.trouble if decided else None,
        "unmet": sum(detail.get("unmet", {}).values()) if decided else 0,
        "hopeless": sum(detail.get("hopeless", {}).values()) if decided else 0,
        "decided": row.decided if decided else None,
    }
