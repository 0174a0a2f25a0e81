"""The scheduler as the API shows it."""

from __future__ import annotations

from typing import cast

from api.http.scheduler.schema import Leader, QueueModeWord, SchedulerState, SchedulerView
from scheduler.admin import switches
from scheduler.runtime import Runtime
from scheduler.store.leader.lease import LeaderState


def entry(rt: Runtime, standing: LeaderState, *, everywhere: bool) -> SchedulerView:
    """Return the scheduler; what concerns other projects' jobs only where the caller may see `everywhere`."""
    return {
        "state": cast("SchedulerState", switches.state(rt, standing)),
        "is_paused": standing.is_paused,
        "pause_reason": standing.pause_reason,
        "queue_mode": cast("QueueModeWord", standing.queue_mode),
        "preemption": switches.preemption(rt, standing),
        "reservations": switches.reservations(rt, standing),
        "leader": None if standing.term == 0 else _leader(standing),
        "tick_ms": standing.status.get("tick_ms"),
        "waiting_by_reason": standing.status.get("waiting_by_reason") if everywhere else None,
    }


def _leader(standing: LeaderState) -> Leader:
    return {
        "holder": standing.holder,
        "term": standing.term,
        "last_beat": standing.at,
        "age_s": round(max(standing.age_s, 0.0), 3),
    }
