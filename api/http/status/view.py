"""How the installation stands, as the API shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from api.http.schema.fields import units
from api.http.status.schema import JobCounts, NodeCounts, PoolStanding, RoomByResource
from scheduler.admin.status import InstallationStatus
from scheduler.store.leader.status import NodesOfPool, PoolUsage

AMOUNTS = ("cpus", "mem", "disk")


def nodes(found: InstallationStatus) -> NodeCounts:
    """Return nodes by state."""
    by_state: Counter[str] = Counter()
    for row in found.nodes:
        by_state[row.word] += row.count
    return {"total": by_state.total(), "by_state": dict(sorted(by_state.items()))}


def pools(found: InstallationStatus) -> list[PoolStanding]:
    """Return every pool that has nodes or placements, by name."""
    names = sorted({row.pool for row in found.nodes} | {row.pool for row in found.live})
    return [{"name": name, "nodes": _states(found, name), **_amounts(found, {name})} for name in names]


def resources(found: InstallationStatus) -> dict[str, dict[str, float]]:
    """Return the resources of all nodes that can be reached, the part that placements hold, and the rest."""
    room = _amounts(found, None)
    return {"total": room["total"], "scheduled": room["scheduled"], "free": room["free"]}


def executions(found: InstallationStatus) -> dict[str, int]:
    """Return how many placements there are, and how many of them run."""
    return {"placed": sum(row.placed for row in found.live), "running": sum(row.running for row in found.live)}


def jobs(found: InstallationStatus) -> JobCounts:
    """Return counts of jobs by status."""
    by_status = {row.status: row for row in found.open_jobs}
    queued = by_status.get("QUEUED")

    def count(status: str) -> int:
        return by_status[status].count if status in by_status else 0

    return {
        "pending_upload": count("PENDING_UPLOAD"),
        "pending": count("PENDING"),
        "blocked": count("BLOCKED"),
        "queued": count("QUEUED"),
        "running": count("RUNNING"),
        "held": sum(row.held for row in found.open_jobs),
        "oldest_queued_s": None if queued is None or queued.oldest_s is None else round(queued.oldest_s, 3),
        "completed": found.ended.get("COMPLETED", 0),
        "failed": found.ended.get("FAILED", 0),
        "canceled": found.ended.get("CANCELED", 0),
    }


def _states(found: InstallationStatus, pool: str) -> dict[str, int]:
    return {row.word: row.count for row in found.nodes if row.pool == pool}


def _amounts(found: InstallationStatus, pools: set[str] | None) -> RoomByResource:
    """Return what nodes of these pools have, what placements hold of it, and what is left; None is all pools."""
    total = _sums([row for row in found.nodes if pools is None or row.pool in pools])
    held = _sums([row for row in found.live if pools is None or row.pool in pools])
    return {
        "total": {name: units(total[name]) for name in AMOUNTS},
        "scheduled": {name: units(held[name]) for name in AMOUNTS},
        "free": {name: units(max(total[name] - held[name], 0)) for name in AMOUNTS},
    }


def _sums(rows: Sequence[NodesOfPool | PoolUsage]) -> dict[str, int]:
    return {
        "cpus": sum(row.cpus for row in rows),
        "mem": sum(row.mem for row in rows),
        "disk": sum(row.disk for row in rows),
    }
