"""Lost nodes: a node that is silent for its whole lease loses its executions, and their jobs are tried elsewhere.

Silence is judged without wall clocks: a node is silent for as long as the monotonic clock of *this* process has not seen
its heartbeat counter change. A new leader, or one whose database was away, begins to observe again. So neither a
fail-over nor an outage nor a stepped clock can declare a healthy fleet dead. A node kills its own work at two thirds
of the lease; when the lease is over here, nothing is left running there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from scheduler.executions import outcome, withdrawal
from scheduler.executions.gangs import EndedExecution
from scheduler.identifiers import Attempt, ExecutionId
from scheduler.rules.lifecycle import heartbeats
from scheduler.rules.lifecycle.failures import NODE_LOST
from scheduler.rules.lifecycle.moves import ExecutionEvent, ExecutionStatus
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.rules.lifecycle.states import NodeState
from scheduler.runtime import Runtime
from scheduler.store.admin import errors_by_name
from scheduler.store.executions import executions
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes


@dataclass(slots=True)
class SilentNodes:
    """The heartbeat counter of each node as this process saw it last, and when it last changed (monotonic seconds)."""

    seen: dict[int, tuple[nodes.LastHeartbeat, float]] = field(default_factory=dict)
    observed_at: float | None = None
    braking_until: float = 0.0


def declare_lost(rt: Runtime, silences: SilentNodes, monotonic: Callable[[], float]) -> list[str]:
    """Read every heartbeat counter once: mark silent nodes, take the executions of lost ones; return the lost nodes' names.

    Each loss is its own transaction, guarded by epoch and counter: a heartbeat that comes in between saves the node. A
    node whose row is locked by another transaction is judged at the next call.
    """
    with rt.db.begin() as tx:
        pulses = nodes.pulses(tx)
        now = monotonic()
        settings = rt.settings
        suspect_s = heartbeats.silent_after_s(
            len(pulses), beat_s=settings.beat_s, suspect_s=settings.suspect_s, lease_s=settings.lease_s
        )
        silent_s = _observe(silences, pulses, now, suspect_s)
        quiet = {pulse.node_id: seconds >= suspect_s for pulse, seconds in silent_s}
        nodes.mark_silent(tx, {p.node_id: quiet[p.node_id] for p in pulses if quiet[p.node_id] != p.is_silent})
    lost = [pulse for pulse, seconds in silent_s if seconds >= _lease_s(rt, pulse)]
    if _brakes(rt, silences, lost, sum(quiet.values()), len(pulses), now):
        return []
    return [pulse.name for pulse in lost if _lose(rt, pulse)]


def lose_executions(
    tx: Connection,
    rt: Runtime,
    execution_ids: Iterable[ExecutionId],
    *,
    why: str,
    unstarted: AbstractSet[tuple[ExecutionId, Attempt]] = frozenset(),
) -> list[str]:
    """Take executions from a node that is gone: unclaimed ones are withdrawn, running ones are lost.

    What waited there ahead of room counts as started and is charged, for nobody can say otherwise; but not those of which the
    node's own journal says that it never started them (`unstarted`).

    The caller holds the node's lock. Returns the names of other nodes that run members of the gangs broken by this;
    ring them after the commit, so that they stop those members.
    """
    ids = list(execution_ids)
    if not ids:
        return []
    locked = jobs.lock_of(tx, ids)
    rows = [row for row in executions.lock(tx, ids).values() if not row.released]
    error = errors_by_name.common(tx)[NODE_LOST]
    withdrawn = withdrawal.end_unclaimed(tx, rows, why)
    ahead = [row for row in rows if row.status == ExecutionStatus.AHEAD]
    kept = [row for row in ahead if (row.id, row.attempt) in unstarted]
    withdrawn += withdrawal.end_unstarted(tx, kept, why)
    begun = [row for row in ahead if (row.id, row.attempt) not in unstarted]
    gone = [row for row in rows if row.status == ExecutionStatus.RUNNING] + begun
    ends = [
        executions.ExecutionEnd(row.id, row.attempt, error_id=error.id, message=why, started_ago_s=0.0) for row in gone
    ]
    executions.end(tx, ExecutionEvent.LOSE, ends)
    jobs.charge(tx, [row.job_id for row in begun])
    for row in begun:
        locked[row.job_id] = replace(locked[row.job_id], num_exes=locked[row.job_id].num_exes + 1, charged=True)
    lost = [EndedExecution(row.id, row.job_id, row.attempt, row.node_id, Outcome.LOST, error, why) for row in gone]
    return outcome.settle(tx, rt, locked, [*withdrawn, *lost], actor="scheduler").to_tell


def _observe(
    silences: SilentNodes, pulses: list[nodes.LastHeartbeat], now: float, gap_s: float
) -> list[tuple[nodes.LastHeartbeat, float]]:
    """Return each node with the seconds of its silence as this process sees it."""
    if silences.observed_at is not None and now - silences.observed_at > gap_s:
        silences.seen.clear()  # this process was away itself; begin the observation again
    silences.observed_at = now
    before: Mapping[int, tuple[nodes.LastHeartbeat, float]] = silences.seen
    silences.seen = {}
    for pulse in pulses:
        last, since = before.get(pulse.node_id, (pulse, now))
        unchanged = (last.epoch, last.seq) == (pulse.epoch, pulse.seq)
        silences.seen[pulse.node_id] = (pulse, since if unchanged else now)
    return [(pulse, now - since) for pulse, since in silences.seen.values()]


def _lease_s(rt: Runtime, pulse: nodes.LastHeartbeat) -> float:
    """Return how long a node may be silent: its executions may have a longer lease than new ones get now."""
    return max(rt.settings.lease_s, pulse.lease_s)


def _brakes(
    rt: Runtime, silences: SilentNodes, lost: list[nodes.LastHeartbeat], quiet: int, fleet: int, now: float
) -> bool:
    """Tell whether to wait one more lease: if a third of the fleet is silent at once, our own network is more likely at fault.

    `quiet` is the number of nodes that are silent for long enough to be suspect; their leases need not be over.
    """
    if not lost or quiet < 3 or quiet * 3 <= fleet:  # noqa: PLR2004 - "a third, and at least three"
        silences.braking_until = 0.0
        return False
    if not silences.braking_until:
        silences.braking_until = now + rt.settings.lease_s
    return now < silences.braking_until


def _lose(rt: Runtime, pulse: nodes.LastHeartbeat) -> bool:
    with rt.db.begin() as tx:
        node = nodes.lock(tx, pulse.node_id, wait=False)
        if node is None or node.epoch != pulse.epoch or not nodes.is_still(tx, pulse):
            return False
        why = f"node {pulse.name} was silent for its lease of {_lease_s(rt, pulse):g} s"
        to_ring = lose_executions(tx, rt, executions.of_node(tx, pulse.node_id), why=why)
        nodes.retire(tx, pulse.node_id, NodeState.LOST)
    rt.nudge("tick")
    rt.ring(to_ring)
    return True
