"""The autoscaler: one step reads what pools have, decides what they should have, and changes it without losing work.

Drivers start nodes, which register by themselves. A node that should go is drained, leaves, and only then is its instance
removed. Everything that a step needs is in the database, with the drivers, or learned again by watching, so that a new
leader goes on where the last one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from math import inf

from scheduler.cluster_state import ClusterState
from scheduler.events import POOL_CLEAR, POOL_DRAIN, POOL_KEEP, POOL_REVIVE, POOL_START, POOL_TROUBLE
from scheduler.identifiers import NodeId, PoolId, Term
from scheduler.log import log
from scheduler.nodes import drain
from scheduler.pools.drivers.registry import DriverRegistry
from scheduler.pools.instances import DriverShare, PoolInstances
from scheduler.pools.scaled_pool import ScaledPool, detail_of
from scheduler.rules.autoscaling.decide import Pool, SizeDecision, decide, nodes_to_stop
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.lifecycle.states import NodeState
from scheduler.runtime import Runtime
from scheduler.store.leader import lease
from scheduler.store.nodes import pools
from scheduler.store.nodes.pool_rows import DriverShareDocument, PoolMember, PoolRow

ACTOR = "scaling"
_WRITE_AGAIN_S = 15.0
"""Shortest time between two writes of a decision that differs from the last one only in its wording."""

LendState = Callable[[], AbstractContextManager[ClusterState]]


class Autoscaler:
    """Scales all pools while this process leads. `lend_state` lends the leader's cluster state for a moment."""

    def __init__(
        self, rt: Runtime, registry: DriverRegistry, lend_state: LendState, monotonic: Callable[[], float]
    ) -> None:
        self._rt, self._registry, self._lend_state, self._monotonic = rt, registry, lend_state, monotonic
        self._instances: dict[str, tuple[list[DriverShareDocument], PoolInstances]] = {}
        self._idle_since: dict[int, float] = {}
        self._written: dict[PoolId, tuple[tuple[object, ...], float]] = {}

    def step(self, term: Term) -> bool:
        """Bring every pool one step nearer to the size that it should have; return whether there is one that is scaled."""
        drain.stop_overdue(self._rt)
        scaled = self._read(term)
        if scaled:
            self._step(scaled)
        return bool(scaled)

    def _step(self, scaled: Sequence[ScaledPool]) -> None:
        now = self._monotonic()
        with self._lend_state() as state:
            if not state.now:
                return  # there was no tick yet
            idle_s = self._observe_idle(state, now)
            described = [pool.described(state, idle_s) for pool in scaled]
            snapshot = state.snapshot()
            decisions = decide(snapshot, described, state.now)
            going = {
                pool.name: _going(pool, decisions[pool.name], snapshot, state.now)
                for pool in scaled
                if pool.name in decisions
            }
        for pool, description in zip(scaled, described, strict=True):
            self._revive(pool, now)
            self._clear(pool, now)
            if pool.name in decisions:
                decision = decisions[pool.name]
                self._grow(pool, decision, now)
                self._shrink(pool, decision, going[pool.name])
                self._write(pool, description, decision, now)

    def forget(self) -> None:
        """Forget what was observed: another process leads now."""
        self._idle_since.clear()
        self._instances.clear()
        self._written.clear()

    def _read(self, term: Term) -> list[ScaledPool]:
        """Read the pools that are scaled, or have instances to remove, and ask their drivers; nothing if the term is over."""
        with self._rt.db.begin() as tx:
            if not lease.fence(tx, term):
                return []
            rows = pools.read(tx)
            members = {key: list(group) for key, group in groupby(_by_pool(pools.members(tx)), lambda m: m.pool_id)}
            since_s = pools.last_changes(tx)
        found = []
        for row in rows:
            mine = members.get(row.id, [])
            if row.sizing == PoolSizing.FREE and not any(m.is_retiring for m in mine):
                continue
            pool = ScaledPool(row, mine, self._instances_of(row), since_s.get(row.id, (None, None)))
            self._refresh(pool)
            found.append(pool)
        return found

    def _refresh(self, pool: ScaledPool) -> None:
        """Ask the drivers of a pool for their instances, if that is due."""
        silent = {m.name for m in pool.members if m.is_silent}
        # A node that has just fallen silent may have ended: when it is asked for now, it can be revived before it is lost.
        anew = not silent <= pool.instances.silent or bool(pool.departed)
        pool.instances.silent = silent
        pool.instances.refresh(self._monotonic(), {m.name for m in pool.members}, anew=anew)
        pool.starting = pool.instances.starting(self._monotonic())

    def _instances_of(self, row: PoolRow) -> PoolInstances:
        shares = row.drivers or [{"driver": self._rt.settings.pool_driver}]
        if row.name not in self._instances or self._instances[row.name][0] != shares:
            opened = [(share, self._registry.open(share["driver"], row.name)) for share in shares]
            usable = [
                DriverShare(share["driver"], driver, share.get("max")) for share, driver in opened if driver is not None
            ]
            unknown = [share["driver"] for share, driver in opened if driver is None]
            self._instances[row.name] = (shares, PoolInstances(usable, unknown))
        return self._instances[row.name][1]

    def _observe_idle(self, state: ClusterState, now: float) -> dict[int, float]:
        """Return the seconds for which nodes have been idle, as far as this process has seen."""
        idle = {node.id for node in state.nodes if not state.running.on_node(node.id)}
        self._idle_since = {node_id: self._idle_since.get(node_id, now) for node_id in idle}
        return {node_id: now - since for node_id, since in self._idle_since.items()}

    def _revive(self, pool: ScaledPool, now: float) -> None:
        """Start instances again that ended although their nodes had not left."""
        dead = pool.dead(NodeState.READY, now)
        if dead and (revived := pool.instances.revive(dead, pool.new_node(), now)):
            self._record(pool, POOL_REVIVE, "its process had ended without leaving", nodes=revived)

    def _clear(self, pool: ScaledPool, now: float) -> None:
        """Remove instances whose nodes have left, are lost, or never registered."""
        departed = [m.name for m in pool.departed]
        failed = pool.instances.failed(now)
        why = pool.instances.give_up(failed, now)
        listed = set(pool.instances.names())
        unwanted = [name for name in (*departed, *failed, *pool.dead(NodeState.LOST, now)) if name in listed]
        cleared = pool.instances.clear(unwanted, now) if unwanted else []
        if cleared:
            self._record(pool, POOL_CLEAR, why, nodes=sorted(cleared))
        gone = [m.id for m in pool.members if m.state == NodeState.LOST and m.name in cleared]
        if pool.instances.sure:
            gone += [m.id for m in pool.members if m.name in departed and m.name not in listed]
        if gone:
            with self._rt.db.begin() as tx:
                pools.record_cleared(tx, gone)

    def _grow(self, pool: ScaledPool, decision: SizeDecision, now: float) -> None:
        """Keep nodes that were to go, and start new ones for those that are still missing."""
        missing = decision.wanted - decision.present
        if missing > 0:
            missing -= self._keep(pool, missing, decision.why)
        if missing > 0 and pool.instances.starts:
            started = pool.instances.start(missing, pool.new_node(), now)
            if started:
                self._record(pool, POOL_START, decision.why, nodes=started)

    def _keep(self, pool: ScaledPool, count: int, why: str) -> int:
        """Keep nodes that were to go, and return their number: nothing is quicker than a node that is still there."""
        retiring = [m.id for m in pool.retiring]
        kept = drain.end_drains(self._rt, retiring[:count], actor=ACTOR, reason=why) if retiring else set()
        if kept:
            self._record(pool, POOL_KEEP, why, nodes=sorted(m.name for m in pool.members if m.id in kept))
        return len(kept)

    def _shrink(self, pool: ScaledPool, decision: SizeDecision, going: Sequence[NodeId]) -> None:
        within_s = pool.row.settings.get("drain_s")
        for node_id in going:
            drained = drain.drain(self._rt, node_id, actor=ACTOR, reason=decision.why, within_s=within_s, retiring=True)
            self._record(pool, POOL_DRAIN, decision.why, nodes=[drained.name], withdrawn=drained.withdrawn)

    def _record(self, pool: ScaledPool, event: str, why: str | None, **detail: object) -> None:
        """Write an event to the log, and to the pool's own list of events, where it has no prefix."""
        log.info(event, pool=pool.name, why=why, **detail)
        with self._rt.db.begin() as tx:
            pools.write_event(tx, pool.row.id, event.removeprefix("pool."), ACTOR, why, **detail)

    def _write(self, pool: ScaledPool, description: Pool, decision: SizeDecision, now: float) -> None:
        """Store the decision for people, and an event if the wanted size or the trouble has changed."""
        trouble = pool.instances.trouble
        facts = (
            decision.wanted,
            decision.present,
            description.starting,
            trouble,
            tuple(decision.unmet),
            tuple(decision.hopeless),
        )
        before, at = self._written.get(pool.row.id, ((), -inf))
        if facts == before and now - at < _WRITE_AGAIN_S:
            return
        self._written[pool.row.id] = (facts, now)
        with self._rt.db.begin() as tx:
            pools.write_state(
                tx,
                pool.row.id,
                wanted=decision.wanted,
                present=decision.present,
                starting=description.starting,
                why=decision.why,
                trouble=trouble,
                detail=detail_of(description, decision),
            )
            if decision.wanted != pool.row.wanted:
                pools.write_event(
                    tx, pool.row.id, "decide", ACTOR, decision.why, wanted=decision.wanted, present=decision.present
                )
            if trouble and trouble != pool.row.trouble:
                pools.write_event(tx, pool.row.id, "trouble", ACTOR, trouble)
                log.warning(POOL_TROUBLE, pool=pool.name, trouble=trouble)


def _going(pool: ScaledPool, decision: SizeDecision, snapshot: Snapshot, now: float) -> list[NodeId]:
    """Return the nodes to drain: the wanted number of present nodes always stays."""
    count = min(decision.present - decision.wanted, max(0, len(pool.staying) - decision.wanted))
    if count <= 0 or not pool.instances.starts:
        return []
    listed = pool.instances.names()
    if not pool.instances.picks:  # only the newest node can be removed
        age = {name: place for place, name in enumerate(listed)}
        mine = [m for m in pool.staying if m.name in age]
        return [m.id for m in sorted(mine, key=lambda m: -age[m.name])[:count]]
    joined = [m.id for m in pool.staying if m.name not in listed]
    return nodes_to_stop(snapshot, [m.id for m in pool.staying], count, now, last=joined)


def _by_pool(members: Sequence[PoolMember]) -> Iterator[PoolMember]:
    return iter(sorted(members, key=lambda m: (m.pool_id, m.id)))
