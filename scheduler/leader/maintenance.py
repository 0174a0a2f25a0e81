"""What time brings about: nodes fall silent and are lost, placements are not claimed, jobs come due.

Silence is judged without wall clocks: a node is silent for as long as *this* process's monotonic clock has not seen
its beat counter change. A new leader, or one whose database was away, begins to watch again, so that neither a
fail-over nor an outage nor a stepped clock can declare a healthy fleet dead. A node kills its own work at two thirds
of the lease, so when the lease is over here there is nothing left there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from scheduler.executions import outcome
from scheduler.nodes import registration
from scheduler.rules.cluster.avoidance import FORGIVE_AFTER_S
from scheduler.rules.lifecycle.moves import JobEvent
from scheduler.runtime import Runtime
from scheduler.store.executions import executions, launch_failures
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes

_BATCH = 1000
"""Rows moved in one transaction: long enough to be cheap, short enough not to hold locks for long."""

_LEFT_WITHIN_S = 3600.0
_FORGET_AT_ONCE = 20
"""Nodes looked at in one turn: for each that is deleted, the database makes sure that nothing refers to it."""


@dataclass(slots=True)
class Watch:
    """What this process has seen of each node's beat counter, and when by its own clock (monotonic seconds)."""

    seen: dict[int, tuple[nodes.Pulse, float]] = field(default_factory=dict)
    looked: float | None = None
    braking_until: float = 0.0


def watch_nodes(rt: Runtime, watch: Watch, monotonic: Callable[[], float]) -> list[str]:
    """Look at every beat once: mark who is silent, take the executions of who is lost; return the lost nodes' names.

    Each loss is its own transaction, guarded by epoch and counter: a beat that comes in between saves the node. One
    whose row somebody holds is looked at again next time.
    """
    with rt.db.begin() as tx:
        pulses = nodes.pulses(tx)
        now = monotonic()
        silences = _observe(watch, pulses, now, rt.settings.suspect_s)
        quiet = {p.node_id: s >= rt.settings.suspect_s for p, s in silences}
        nodes.mark_silent(tx, {p.node_id: quiet[p.node_id] for p in pulses if quiet[p.node_id] != p.is_silent})
    lost = [pulse for pulse, silence in silences if silence >= _lease_s(rt, pulse)]
    if _brakes(rt, watch, lost, sum(quiet.values()), len(pulses), now):
        return []
    return [pulse.name for pulse in lost if _lose(rt, pulse)]


def withdraw_late(rt: Runtime) -> int:
    """Take back placements that were not claimed by their deadline; return how many."""
    with rt.db.begin() as tx:
        late = executions.late(tx, deadline_s=rt.settings.claim_deadline_s, limit=_BATCH)
        if not late:
            return 0
        why = f"not claimed within {rt.settings.claim_deadline_s:g} s"
        nodes.lock_all(tx, late.values())
        locked = jobs.lock(tx, executions.jobs_of(tx, late))
        taken = outcome.take_back(tx, rt, locked, executions.lock(tx, late).values(), why)
        outcome.hold_hopeless(tx, rt, locked, taken.rows)
        for node_id, count in sorted(Counter(row.node_id for row in taken.rows).items()):
            launch_failures.count(tx, node_id, count)
    rt.nudge("tick")
    rt.ring(taken.to_tell)
    return len(taken.rows)


def forgive_nodes(rt: Runtime) -> int:
    """Let nodes that were avoided for failing launches be tried again in time; return how many."""
    with rt.db.begin() as tx:
        forgiven = launch_failures.forgive(tx, after_s=FORGIVE_AFTER_S)
    if forgiven:
        rt.nudge("tick")
    return forgiven


def forget_nodes(rt: Runtime, remembered: set[int], pictured: Collection[int]) -> list[int]:
    """Delete the rows of nodes that have left and never ran anything; return their ids.

    `pictured` are the nodes that placement still believes in: it must have seen a node leave before its row may go.
    Those that did run something stay for as long as that is known, and are added to `remembered`.
    """
    with rt.db.begin() as tx:
        found = nodes.left(tx, within_s=_LEFT_WITHIN_S, known=remembered, limit=_FORGET_AT_ONCE)
    forgotten = []
    for node_id in set(found) - set(pictured):
        with rt.db.begin() as tx:
            gone = nodes.forget(tx, node_id)
        if gone:
            forgotten.append(node_id)
        else:
            remembered.add(node_id)
    return forgotten


def ready_due(rt: Runtime) -> int:
    """Queue the jobs whose `not_before` has come; return how many."""
    with rt.db.begin() as tx:
        moved = jobs.move(tx, JobEvent.READY, jobs.due(tx, _BATCH), "scheduler")
    if moved:
        rt.nudge("tick")
    return len(moved)


def _observe(watch: Watch, pulses: list[nodes.Pulse], now: float, gap_s: float) -> list[tuple[nodes.Pulse, float]]:
    """Return each node with the seconds of its silence as seen from here."""
    if watch.looked is not None and now - watch.looked > gap_s:
        watch.seen.clear()  # we were away ourselves; begin the observation again
    watch.looked = now
    before: Mapping[int, tuple[nodes.Pulse, float]] = watch.seen
    watch.seen = {}
    for pulse in pulses:
        last, since = before.get(pulse.node_id, (pulse, now))
        unchanged = (last.epoch, last.seq) == (pulse.epoch, pulse.seq)
        watch.seen[pulse.node_id] = (pulse, since if unchanged else now)
    return [(pulse, now - since) for pulse, since in watch.seen.values()]


def _lease_s(rt: Runtime, pulse: nodes.Pulse) -> float:
    """Return how long a node may be silent: what it holds may have been given a longer lease than is usual now."""
    return max(rt.settings.lease_s, pulse.lease_s)


def _brakes(rt: Runtime, watch: Watch, lost: list[nodes.Pulse], quiet: int, fleet: int, now: float) -> bool:
    """Tell whether to wait one more lease: a third of the fleet silent at once is more likely our own network.

    `quiet` nodes are silent for long enough to be suspect: not all of them need have reached the end of their lease.
    """
    if not lost or quiet < 3 or quiet * 3 <= fleet:  # noqa: PLR2004 - "a third, and at least three"
        watch.braking_until = 0.0
        return False
    if not watch.braking_until:
        watch.braking_until = now + rt.settings.lease_s
    return now < watch.braking_until


def _lose(rt: Runtime, pulse: nodes.Pulse) -> bool:
    with rt.db.begin() as tx:
        node = nodes.lock(tx, pulse.node_id, wait=False)
        if node is None or node.epoch != pulse.epoch or not nodes.is_still(tx, pulse):
            return False
        why = f"node {pulse.name} was silent for its lease of {_lease_s(rt, pulse):g} s"
        told = registration.take_from(tx, rt, executions.of_node(tx, pulse.node_id), why=why)
        nodes.retire(tx, pulse.node_id, "LOST")
    rt.nudge("tick")
    rt.ring(told)
    return True
