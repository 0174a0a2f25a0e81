"""The switches of the scheduler: pause, order of the queue, preemption, reservations; also who leads and whether it is alive."""

from __future__ import annotations

from scheduler.admin.pauses import reason_to_keep
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.leader import lease
from scheduler.store.leader.lease import LeaderState, SchedulerSwitchChanges

ALLOWANCE_S = 2.0
"""A candidate needs a moment more than `leader_s` to take over; a silent leader is reported only after that."""


def read(rt: Runtime) -> LeaderState:
    """Return who leads, its last sign of life, and the switches that operators have set."""
    with rt.db.begin() as tx:
        return lease.standing(tx)


def state(rt: Runtime, standing: LeaderState) -> str:
    """Return MISSING (nobody ever led), STALE (silent for too long), PAUSED or READY."""
    if standing.term == 0:
        return "MISSING"
    if standing.age_s > rt.settings.leader_s + ALLOWANCE_S:
        return "STALE"
    return "PAUSED" if standing.is_paused else "READY"


def preemption(rt: Runtime, standing: LeaderState) -> bool:
    """Return whether more urgent jobs may preempt others: as operators have set it, else the leader's settings, else ours."""
    told = standing.status.get("preemption", rt.settings.preemption)
    return bool(told) if standing.preemption is None else standing.preemption


def reservations(rt: Runtime, standing: LeaderState) -> int:
    """Return for how many jobs that cannot start yet room is reserved at most; decided in the same order."""
    told = standing.status.get("reservations", rt.settings.reservations)
    return int(told) if standing.reservations is None else standing.reservations


def change(rt: Runtime, caller: Caller, facts: SchedulerSwitchChanges) -> None:
    """Change `is_paused`, `pause_reason`, `queue_mode`, `preemption`, `reservations`; raises InvalidInput.

    To resume clears the reason. None for one of the last two means: as the scheduler's own settings say.
    """
    with rt.db.begin() as tx:
        changed = lease.lock_switches(tx)._replace(**facts)
        reason = reason_to_keep(
            is_paused=changed.is_paused,
            reason=changed.pause_reason,
            given=facts.get("pause_reason"),
            subject="a scheduler",
        )
        lease.switch(tx, changed._replace(pause_reason=reason))
        audit.write(
            tx, caller.name, "scheduler.change", "scheduler", reason=facts.get("pause_reason"), detail=dict(facts)
        )
    rt.nudge("tick")
