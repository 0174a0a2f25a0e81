"""One step of scaling: see what pools have, decide what they should have, and bring it about without losing work.

Nodes are started by drivers and register by themselves. Nodes that should go are drained, leave, and only then are
cleared away. Everything a step needs to know is in the database, with the drivers, or learned again by watching, so a
new leader goes on where the last one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from typing import Any

from scheduler.cluster_state import ClusterState
from scheduler.documents import PoolSettingsDocument
from scheduler.events import POOL_TROUBLE
from scheduler.identifiers import NodeId, PoolId, Term
from scheduler.log import log
from scheduler.nodes import drain
from scheduler.pools.drivers import NodeTemplate
from scheduler.pools.drivers.catalogue import DriverCatalogue
from scheduler.pools.instances import DriverShare, PoolInstances
from scheduler.rules.autoscaling.decide import Decision, Pace, Pool, Sizing, decide, nodes_to_stop
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.resources import Resources
from scheduler.runtime import Runtime
from scheduler.store.leader import lease
from scheduler.store.nodes import pools
from scheduler.store.nodes.pool_rows import DecisionDetail, DriverShareDocument, PoolMember, PoolRow

ACTOR = "scaling"
_WRITE_AGAIN_S = 15.0
"""A decision that differs from the last one only in its wording is written so often."""

Look = Callable[[], AbstractContextManager[ClusterState]]


@dataclass(slots=True)
class ScaledPool:
    """What one step knows of one pool beside its row: its nodes, and what its drivers have."""

    row: PoolRow
    members: Sequence[PoolMember]
    fleet: PoolInstances
    since: tuple[float | None, float | None]
    starting: list[str] = field(default_factory=list)

    @property
    def staying(self) -> list[PoolMember]:
        """Nodes that are there and not about to leave."""
        return [m for m in self.members if m.state == "READY" and not (m.is_draining or m.is_leaving)]


class Autoscaler:
    """The scaling of all pools, by whoever leads. `look` lends the scheduler's picture for a moment."""

    def __init__(self, rt: Runtime, catalogue: DriverCatalogue, look: Look, monotonic: Callable[[], float]) -> None:
        self._rt, self._catalogue, self._look, self._monotonic = rt, catalogue, look, monotonic
        self._fleets: dict[str, tuple[list[DriverShareDocument], PoolInstances]] = {}
        self._idle: dict[int, float] = {}
        self._written: dict[PoolId, tuple[tuple[object, ...], float]] = {}

    def step(self, term: Term) -> None:
        """Bring every pool one step nearer to the size it should have."""
        drain.stop_overdue(self._rt)
        seen = self._see(term)
        if not seen:
            return
        now = self._monotonic()
        with self._look() as state:
            if not state.now:
                return  # the first tick has not been
            self._watch_idle(state, now)
            described = [self._describe(one, state, now) for one in seen]
            snapshot = state.snapshot()
            decisions = decide(snapshot, described, state.now)
            going = {
                one.row.name: self._going(one, decisions[one.row.name], snapshot, state.now)
                for one in seen
                if one.row.name in decisions
            }
        for one, pool in zip(seen, described, strict=True):
            self._tidy(one, now)
            if one.row.name in decisions:
                self._act(one, pool, decisions[one.row.name], going[one.row.name], now)

    def forget(self) -> None:
        """Forget what was watched: somebody else leads now."""
        self._idle.clear()
        self._fleets.clear()
        self._written.clear()

    def _see(self, term: Term) -> list[ScaledPool]:
        """Read the pools that are scaled, or have nodes to clear away, and ask their drivers."""
        with self._rt.db.begin() as tx:
            if not lease.fence(tx, term):
                return []
            rows = pools.read(tx)
            members = {key: list(group) for key, group in groupby(_by_pool(pools.members(tx)), lambda m: m.pool_id)}
            since = pools.last_changes(tx)
        found = []
        for row in rows:
            mine = members.get(row.id, [])
            if row.sizing == Sizing.FREE and not any(m.is_retiring for m in mine):
                continue
            fleet = self._fleet(row)
            here = {m.name for m in mine}  # those that have left and are to be cleared away among them
            silent = {m.name for m in mine if m.is_silent}
            # One that has just fallen silent may have ended: asked now, it is revived before it is given up as lost.
            anew = not silent <= fleet.silent or any(m.is_retiring and m.state != "READY" for m in mine)
            fleet.silent = silent
            fleet.refresh(self._monotonic(), here, anew=anew)
            seen = ScaledPool(row, mine, fleet, since.get(row.id, (None, None)))
            seen.starting = fleet.starting(self._monotonic())
            found.append(seen)
        return found

    def _fleet(self, row: PoolRow) -> PoolInstances:
        shares = row.drivers or [{"driver": self._rt.settings.pool_driver}]
        if row.name not in self._fleets or self._fleets[row.name][0] != shares:
            opened = [(share, self._catalogue.open(share["driver"], row.name)) for share in shares]
            parties = [
                DriverShare(share["driver"], driver, share.get("max")) for share, driver in opened if driver is not None
            ]
            unknown = [share["driver"] for share, driver in opened if driver is None]
            self._fleets[row.name] = (shares, PoolInstances(parties, unknown))
        return self._fleets[row.name][1]

    def _watch_idle(self, state: ClusterState, now: float) -> None:
        idle = {node.id for node in state.nodes if not state.running.on_node(node.id)}
        self._idle = {node_id: self._idle.get(node_id, now) for node_id in idle}

    def _describe(self, one: ScaledPool, state: ClusterState, now: float) -> Pool:
        row = one.row
        staying = {m.id for m in one.staying}
        grown, shrunk = one.since
        return Pool(
            row.name,
            Sizing(row.sizing),
            row.size,
            row.smallest,
            row.largest,
            _template(one, state),
            _labels(one, state),
            pace(row.settings),
            row.is_paused,
            len(staying),
            len(one.starting),
            {node_id: now - since for node_id, since in self._idle.items() if node_id in staying},
            inf if grown is None else grown,
            inf if shrunk is None else shrunk,
        )

    def _going(self, one: ScaledPool, decision: Decision, snapshot: Snapshot, now: float) -> list[NodeId]:
        """Return the nodes to drain: never more than leaves the wanted number of those that are there already."""
        count = min(decision.present - decision.wanted, max(0, len(one.staying) - decision.wanted))
        if count <= 0 or not one.fleet.starts:
            return []
        listed = one.fleet.names()
        if not one.fleet.picks:  # only the newest can be taken away
            newest = {name: place for place, name in enumerate(listed)}
            mine = [m for m in one.staying if m.name in newest]
            return [m.id for m in sorted(mine, key=lambda m: -newest[m.name])[:count]]
        joined = [m.id for m in one.staying if m.name not in listed]
        return nodes_to_stop(snapshot, [m.id for m in one.staying], count, now, last=joined)

    def _tidy(self, one: ScaledPool, now: float) -> None:
        """Revive what ended without having left, clear away what has left or never came."""
        by_name = {m.name: m for m in one.members}
        dead = [name for name in one.fleet.dead(now) if name in by_name and by_name[name].state == "READY"]
        if dead and (revived := one.fleet.revive(dead, _order(one), now)):
            self._note(one, "revive", "its process had ended without leaving", nodes=revived)
        left = [m.name for m in one.members if m.is_retiring and m.state != "READY"]
        failed = one.fleet.failed(now)
        why = one.fleet.give_up(failed, now)
        over = [
            *left,
            *failed,
            *(n for n in one.fleet.dead(now) if n in by_name and by_name[n].state == "LOST"),
        ]
        listed = set(one.fleet.names())
        done: list[str] = []
        if (some := [name for name in over if name in listed]) and (done := one.fleet.clear(some, now)):
            self._note(one, "clear", why, nodes=sorted(done))
        gone = [m.id for m in one.members if m.state == "LOST" and m.name in done]
        if one.fleet.sure:
            gone += [m.id for m in one.members if m.name in left and m.name not in listed]
        if gone:
            with self._rt.db.begin() as tx:
                pools.record_cleared(tx, gone)

    def _act(self, one: ScaledPool, pool: Pool, decision: Decision, going: Sequence[NodeId], now: float) -> None:
        more = decision.wanted - decision.present
        if more > 0:
            more -= self._keep(one, more, decision.why)
        if more > 0 and one.fleet.starts:
            started = one.fleet.start(more, _order(one), now)
            if started:
                self._note(one, "start", decision.why, nodes=started)
        within = one.row.settings.get("drain_s")
        for node_id in going:
            drained = drain.drain(self._rt, node_id, actor=ACTOR, reason=decision.why, within_s=within, retiring=True)
            self._note(one, "drain", decision.why, nodes=[drained.name], withdrawn=drained.withdrawn)
        self._write(one, pool, decision, now)

    def _keep(self, one: ScaledPool, count: int, why: str) -> int:
        """Let nodes stay that were to go: nothing is quicker than a node that is still there."""
        leaving = [m.id for m in one.members if m.state == "READY" and m.is_retiring and not m.is_leaving]
        kept = drain.keep(self._rt, leaving[:count], actor=ACTOR, reason=why) if leaving else set()
        if kept:
            self._note(one, "keep", why, nodes=sorted(m.name for m in one.members if m.id in kept))
        return len(kept)

    def _note(self, one: ScaledPool, event: str, why: str | None, **detail: object) -> None:
        log.info(f"pool.{event}", pool=one.row.name, why=why, **detail)
        with self._rt.db.begin() as tx:
            pools.write_event(tx, one.row.id, event, ACTOR, why, **detail)

    def _write(self, one: ScaledPool, pool: Pool, decision: Decision, now: float) -> None:
        """Keep the decision for people, and an event where the wanted size or the trouble is another."""
        trouble = one.fleet.trouble
        facts = (
            decision.wanted,
            decision.present,
            pool.starting,
            trouble,
            tuple(decision.unmet),
            tuple(decision.hopeless),
        )
        before, at = self._written.get(one.row.id, ((), -inf))
        if facts == before and now - at < _WRITE_AGAIN_S:
            return
        self._written[one.row.id] = (facts, now)
        with self._rt.db.begin() as tx:
            pools.write_state(
                tx,
                one.row.id,
                wanted=decision.wanted,
                present=decision.present,
                starting=pool.starting,
                why=decision.why,
                trouble=trouble,
                detail=_detail(pool, decision),
            )
            if decision.wanted != one.row.wanted:
                pools.write_event(
                    tx, one.row.id, "decide", ACTOR, decision.why, wanted=decision.wanted, present=decision.present
                )
            if trouble and trouble != one.row.trouble:
                pools.write_event(tx, one.row.id, "trouble", ACTOR, trouble)
                log.warning(POOL_TROUBLE, pool=one.row.name, trouble=trouble)


def pace(settings: PoolSettingsDocument) -> Pace:
    """Return how eagerly a pool follows demand, from its settings; what is missing there is as usual."""
    given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    return Pace(**{name: value for name, value in given.items() if name in Pace.__slots__})


def _template(one: ScaledPool, state: ClusterState) -> Resources | None:
    """Return what a new node has: as the pool says, as its driver knows, or else as the largest node that is, or was."""
    if one.row.template is not None:
        return Resources.from_amounts(one.row.template)
    known = one.fleet.template()
    if known is not None:
        return known
    there = [state.nodes[m.id].capacity for m in one.members if m.id in state.nodes]
    last = (one.row.detail or {}).get("template")
    last_known = None if last is None else Resources.from_amounts(last)
    return max(there, key=lambda amounts: (amounts.cpus, amounts.mem), default=last_known)


def _labels(one: ScaledPool, state: ClusterState) -> dict[str, str]:
    """Return the labels a new node will have: those all present ones agree on (or last did), and the pool's own."""
    found = [dict(state.nodes[m.id].labels) for m in one.members if m.id in state.nodes]
    found = found or [(one.row.detail or {}).get("labels") or {}]
    agreed = {k: v for k, v in found[0].items() if all(labels.get(k) == v for labels in found)}
    return {**agreed, **one.row.labels}


def _order(one: ScaledPool) -> NodeTemplate:
    amounts = None if one.row.template is None else Resources.from_amounts(one.row.template)
    return NodeTemplate(one.row.name, amounts, one.row.labels)


def _detail(pool: Pool, decision: Decision) -> DecisionDetail:
    return {
        "unmet": {str(shape_id): count for shape_id, count in decision.unmet.items()},
        "hopeless": {str(shape_id): count for shape_id, count in decision.hopeless.items()},
        "template": None if pool.template is None else pool.template.amounts(),
        "labels": dict(pool.labels),
    }


def _by_pool(members: Sequence[PoolMember]) -> Iterator[PoolMember]:
    return iter(sorted(members, key=lambda m: (m.pool_id, m.id)))
