"""Nodes as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from api.http.nodes.schema import ExecutionCount, NodeResources, NodeState, NodeStatus, NodeView, RunningExecution
from api.http.schema.fields import units
from scheduler.rules.cluster.avoidance import avoided_until
from scheduler.store.nodes.listing import NodeRow
from scheduler.store.nodes.stats import NodeCount, RunningOnNode
from scheduler.wire import CLOCK


def entry(row: NodeRow) -> NodeView:
    """Return a node: its names, its resources and the part that is taken, and its state."""
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
        "resources": _resources(row),
        "isolation": row.labels.get("isolation"),
        "labels": row.labels,
        "num_placed": row.placed,
        "num_running": row.running,
        "load": {name: value for name, value in (row.load or {}).items() if name != CLOCK},
        "version": row.version,
        "powers": row.powers,
        "created": row.created,
        "registered": row.registered,
        "archived": row.archived,
        "last_beat": row.last_beat,
        "clock_skew_s": None if row.clock_skew_s is None else round(row.clock_skew_s, 3),
        "last_modified": row.last_modified,
    }


def _resources(row: NodeRow) -> NodeResources:
    total = {"cpus": row.cpus, "mem": row.mem, "disk": row.disk, **row.custom}
    used = {"cpus": row.used_cpus, "mem": row.used_mem, "disk": row.used_disk, **row.used_custom}
    return {
        "total": {name: units(amount) for name, amount in total.items()},
        "scheduled": {name: units(amount) for name, amount in used.items()},
        "free": {name: units(amount - used.get(name, 0)) for name, amount in total.items()},
    }


def _state(row: NodeRow) -> NodeState:
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
    return cast("NodeState", next((word for word, holds in words if holds), "READY"))


def _avoided_until(row: NodeRow) -> datetime | None:
    return avoided_until(row.launch_failures, row.launch_failed_at) if row.state == "READY" else None


def status(row: NodeRow, counts: Sequence[NodeCount], running: Sequence[RunningOnNode]) -> NodeStatus:
    """Return the state of a node, counts of its recent executions, and the executions that run on it."""
    return {
        "node": {"id": row.id, "name": row.name, "hostname": row.hostname},
        "pool": row.pool,
        "state": _state(row),
        "is_online": row.state == "READY" and not row.is_silent,
        "launch_failures": row.launch_failures,
        "avoided_until": _avoided_until(row),
        "job_exe_counts": [_count(one) for one in counts],
        "job_exes_running": [_running(one) for one in running],
    }


def _count(row: NodeCount) -> ExecutionCount:
    return {"status": row.status, "count": row.count, "most_recent": row.most_recent, "category": row.category}


def _running(row: RunningOnNode) -> RunningExecution:
    return {
        "id": row.id,
        "job": {"id": row.job_id},
        "job_type": {"id": row.type_id, "name": row.type_name, "version": row.type_version},
        "attempt": row.attempt,
        "started": row.started,
    }
