"""Pools as the API shows them."""

from __future__ import annotations

from api.http.pools.schema import PoolDecision, PoolEvent, PoolNodes, PoolView, PoolWanted
from api.http.schema.fields import units
from scheduler.pools.pools import PoolWithCounts
from scheduler.store.nodes.pool_rows import PoolCounts, PoolEventRow, PoolRow, SizeDecisionDetail

_PLAIN = ("cpus", "mem", "disk")


def entry(seen: PoolWithCounts) -> PoolView:
    """Return a pool: its settings, the last decision about its size, its nodes and their resources."""
    row, counts = seen.row, seen.counts
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
        "nodes": _nodes(counts),
        "resources": _resources(counts),
        "running": counts.running if counts else 0,
        **_decision(row),
        "created": row.created,
        "last_modified": row.last_modified,
    }


def wanted(seen: PoolWithCounts) -> PoolWanted:
    """Return the numbers that a scaler outside follows; a pool that nobody sizes wants the nodes that it has."""
    row = seen.row
    present = seen.counts.nodes if seen.counts else 0
    decision = _decision(row)
    return {
        "wanted": present if decision["wanted"] is None else decision["wanted"],
        "present": present,
        "starting": decision["starting"],
        "unmet": decision["unmet"],
    }


def event(row: PoolEventRow) -> PoolEvent:
    """Return something that happened to a pool."""
    return {
        "id": row.id,
        "at": row.at,
        "event": row.event,
        "actor": row.actor,
        "reason": row.reason,
        "detail": row.detail,
    }


def _nodes(counts: PoolCounts | None) -> PoolNodes:
    if counts is None:
        return {"total": 0, "ready": 0, "draining": 0, "silent": 0}
    return {
        "total": counts.nodes,
        "ready": counts.ready,
        "draining": counts.draining,
        "silent": counts.silent,
    }


def _resources(counts: PoolCounts | None) -> dict[str, dict[str, float]]:
    return {
        name: {
            "total": units(getattr(counts, name)) if counts else 0,
            "scheduled": units(getattr(counts, f"used_{name}")) if counts else 0,
        }
        for name in _PLAIN
    }


def _decision(row: PoolRow) -> PoolDecision:
    decided = row.sizing != "free" and row.decided is not None
    detail: SizeDecisionDetail = row.detail or {}
    return {
        "wanted": row.wanted if decided else None,
        "present": row.present if decided else None,
        "starting": (row.starting or 0) if decided else 0,
        "why": row.why if decided else None,
        "trouble": row.trouble if decided else None,
        "unmet": sum(detail.get("unmet", {}).values()) if decided else 0,
        "hopeless": sum(detail.get("hopeless", {}).values()) if decided else 0,
        "decided": row.decided if decided else None,
    }
