"""How the installation stands, as the API shows it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from api.http.schema.fields import units
from scheduler.admin.status import InstallationStatus

AMOUNTS = ("cpus", "mem", "disk")


def nodes(found: InstallationStatus) -> dict[str, Any]:
    """Return nodes by state."""
    by_state: Counter[str] = Counter()
    for row in found.nodes:
        by_state[row.word] += row.count
    return {"total": by_state.total(), "by_state": dict(sorted(by_state.items()))}


def pools(found: InstallationStatus) -> list[dict[str, Any]]:
    """Return every pool that has nodes or placements, by name."""
    names = sorted({row.pool for row in found.nodes} | {row.pool for row in found.live})
    return [{"name": name, "nodes": _states(found, name), **_amounts(found, {name})} for name in names]


def resources(found: InstallationStatus) -> dict[str, Any]:
    """Return what all nodes that can be reached have, what placements hold, and what is left."""
    return _amounts(found, None)


def executions(found: InstallationStatus) -> dict[str, int]:
    """Return how many placements there are, and how many of them run."""
    return {"placed": sum(row.placed for row in found.live), "running": sum(row.running for row in found.live)}


def jobs(found: InstallationStatus) -> dict[str, Any]:
    """Return counts of jobs by status."""
    by_status = {row.status: row for row in found.open_jobs}
    counts = {
        status.lower(): by_status[status].count if status in by_status else 0
        for status in ("PENDING_UPLOAD", "PENDING", "BLOCKED", "QUEUED", "RUNNING")
    }
    queued = by_status.get("QUEUED")
    return {
        **counts,
        "held": sum(row.held for row in found.open_jobs),
        "oldest_queued_s": None if queued is None or queued.oldest_s is None else round(queued.oldest_s, 3),
        **{status.lower(): found.ended.get(status, 0) for status in ("COMPLETED", "FAILED", "CANCELED")},
    }


def _states(found: InstallationStatus, pool: str) -> dict[str, int]:
    return {row.word: row.count for row in found.nodes if row.pool == pool}


def _amounts(found: InstallationStatus, pools: set[str] | None) -> dict[str, Any]:
    total = {
        name: sum(getattr(row, name) for row in found.nodes if pools is None or row.pool in pools) for name in AMOUNTS
    }
    held = {
        name: sum(getattr(row, name) for row in found.live if pools is None or row.pool in pools) for name in AMOUNTS
    }
    return {
        "total": {name: units(total[name]) for name in AMOUNTS},
        "scheduled": {name: units(held[name]) for name in AMOUNTS},
        "free": {name: units(max(total[name] - held[name], 0)) for name in AMOUNTS},
    }
