"""Nodes as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from api.http.schema.fields import units
from scheduler.rules.cluster.avoidance import avoided_until


def entry(row: Any) -> dict[str, Any]:
    """Return a node: what it is, what it has, what is taken, and how it does."""
    total = {"cpus": row.cpus, "mem": row.mem, "disk": row.disk, **row.custom}
    used = {"cpus": row.used_cpus, "mem": row.used_mem, "disk": row.used_disk, **row.used_custom}
    return {
        "id": row.id,
        "name": row.name,
        "hostname": row.hostname,
        "pool": row.pool,
        "state": _state(row),
        "epoch": row.epoch,
        "is_online": row.state == "READY" and not row.is_silent,
        "is_active": row.is_active,
        "is_paused": row.is_paused,
        "pause_reason": row.pause_reason,
        "is_draining": row.is_draining,
        "degraded": row.degraded,
        "launch_failures": row.launch_failures,
        "avoided_until": _avoided_until(row),
        "resources": {
            "total": {name: units(amount) for name, amount in total.items()},
            "scheduled": {name: units(amount) for name, amount in used.items()},
            "free": {name: units(amount - used.get(name, 0)) for name, amount in total.items()},
        },
        "labels": row.labels,
        "num_placed": row.placed,
        "num_running": row.running,
        "load": row.load or {},
        "version": row.version,
        "powers": row.powers,
        "created": row.created,
        "registered": row.registered,
        "archived": row.archived,
        "last_beat": row.last_beat,
        "last_modified": row.last_modified,
    }


def _state(row: Any) -> str:
    """Return one word for people; the first that holds wins."""
    words = (
        ("DEPRECATED", not row.is_active),
        (row.state, row.state != "READY"),
        ("OFFLINE", row.is_silent),
        ("PAUSED", row.is_paused),
        ("DRAINING", row.is_draining or row.is_leaving),
        ("DEGRADED", row.degraded is not None),
        ("AVOIDED", _avoided_until(row) is not None),
    )
    return next((word for word, holds in words if holds), "READY")


def _avoided_until(row: Any) -> datetime | None:
    return avoided_until(row.launch_failures, row.launch_failed_at) if row.state == "READY" else None


def status(row: Any, counts: Sequence[Any], running: Sequence[Any]) -> dict[str, Any]:
    """Return how a node does: whether it is there, what it has done of late, what runs on it."""
    return {
        "node": {"id": row.id, "name": row.name, "hostname": row.hostname},
        "pool": row.pool,
        "state": _state(row),
        "is_online": row.state == "READY" and not row.is_silent,
        "launch_failures": row.launch_failures,
        "avoided_until": _avoided_until(row),
        "job_exe_counts": [
            {"status": one.status, "count": one.count, "most_recent": one.most_recent, "category": one.category}
            for one in counts
        ],
        "job_exes_running": [
            {
                "id": one.id,
                "job": {"id": one.job_id},
                "job_type": {"id": one.type_id, "name": one.type_name, "version": one.type_version},
                "attempt": one.attempt,
                "started": one.started,
            }
            for one in running
        ],
    }
