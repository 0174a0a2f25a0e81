"""Autoscaling: how many nodes each pool should have, and which of them should go.

A fixed pool has the size that an operator gave it. A pool that follows demand grows by as many nodes as let all jobs
that wait for room start within the target wait. It first counts what its nodes have free, what they will have by the
predicted ends of what runs, and the nodes that are already on their way. It shrinks by the nodes that have been idle
for a while.

A job that no node of a pool could ever run makes no pool grow, nor does a gang that could not fit whole with all
pools at their largest: the decision says so instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf

from scheduler.identifiers import NodeId, ShapeId
from scheduler.rules.autoscaling import demand
from scheduler.rules.autoscaling.demand import GroupDemand
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import NODE_LABEL, Shape
from scheduler.rules.placement import capacity
from scheduler.rules.placement.capacity import PoolGrowth


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """How eagerly a pool follows demand, in seconds. A step is the most nodes for one decision; None: no limit."""

    target_wait_s: float = 30.0
    start_s: float = 5.0
    idle_s: float = 60.0
    grow_pause_s: float = 0.0
    shrink_pause_s: float = 30.0
    grow_step: int | None = None
    shrink_step: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as a decision needs it.

    `present` are the nodes it has that are not about to leave (None: those in the snapshot), `starting` those on
    their way that have not come yet. `idle_s` says how long each idle node has been seen idle; `since_grown_s` and
    `since_shrunk_s` how long ago the last changes were.
    """

    name: str
    sizing: PoolSizing = PoolSizing.FREE
    size: int = 0
    smallest: int = 0
    largest: int | None = None
    template: Resources | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    pace: ScalingSettings = ScalingSettings()
    paused: bool = False
    present: int | None = None
    starting: int = 0
    idle_s: Mapping[int, float] = field(default_factory=dict)
    since_grown_s: float = inf
    since_shrunk_s: float = inf


@dataclass(frozen=True, slots=True)
class SizeDecision:
    """How many nodes the pool should have, how many it has (with those on their way), and why, in a sentence.

    `unmet` counts, by shape id, the jobs that wait for room and for which this decision counted on new nodes.
    `hopeless` counts those that fit no node of this pool, not even a new one, and the members of gangs that could
    never fit whole.
    """

    wanted: int
    present: int
    why: str
    unmet: Mapping[ShapeId, int] = field(default_factory=dict)
    hopeless: Mapping[ShapeId, int] = field(default_factory=dict)


def decide(snapshot: Snapshot, pools: Sequence[Pool], now: float) -> dict[str, SizeDecision]:
    """Return a decision for every pool that is not FREE, by name. Demand that several could meet goes to the first."""
    waiting = demand.demands(snapshot, now)
    unmet = {need.shape.id: float(need.count) for need in waiting}
    horizon = max((pool.pace.target_wait_s for pool in pools if pool.sizing is PoolSizing.AUTO), default=0.0)
    never: set[int] = set()
    if any(pool.sizing is PoolSizing.AUTO for pool in pools):
        never = _never_whole(snapshot, pools, waiting)
        there = demand.supply(snapshot, now, horizon)
        for need in waiting:
            if need.shape.id not in never:
                left = demand.absorb(need, unmet[need.shape.id], snapshot, there, _horizon(need, horizon))
                unmet[need.shape.id] = left
    decisions = {}
    for pool in pools:
        present = (_members(snapshot, pool) if pool.present is None else pool.present) + pool.starting
        if pool.sizing is PoolSizing.FIXED:
            decisions[pool.name] = SizeDecision(pool.size, present, f"an operator asked for {pool.size}")
        elif pool.sizing is PoolSizing.AUTO:
            decisions[pool.name] = _follow(snapshot, pool, present, waiting, unmet, never)
    return decisions


def nodes_to_stop(
    snapshot: Snapshot, node_ids: Iterable[NodeId], count: int, now: float, *, last: Iterable[NodeId] = ()
) -> list[NodeId]:
    """Return which `count` of these nodes should go: idle ones first, then those whose work ends soonest.

    Of equal ones, those in `last` go last, and otherwise the newest goes first.
    """
    busy = demand.supply(snapshot, now, 0.0).busy_s
    late = frozenset(last)

    def order(node_id: int) -> tuple[float, bool, int]:
        row = snapshot.nodes.row(node_id)
        return (0.0 if row is None else float(busy[row]), node_id in late, -node_id)

    return sorted(node_ids, key=order)[:count]


def fits_new_node(shape: Shape, pool: Pool) -> bool:
    """Return whether a new node of this pool could take a job of this shape: pool, labels and size."""
    if pool.template is None or (shape.pool is not None and shape.pool != pool.name):
        return False
    labels = {NODE_LABEL: "", **pool.labels}
    return all(constraint.holds(labels) for constraint in shape.constraints) and shape.requires.fits(pool.template)


def _never_whole(snapshot: Snapshot, pools: Sequence[Pool], waiting: Sequence[GroupDemand]) -> set[int]:
    """Return the shapes of gangs that would not fit whole with every pool at its largest."""
    growth = [
        PoolGrowth(Node(NodeId(number), pool.template, "", pool.name, pool.labels), _most(pool))
        for number, pool in enumerate(pools)
        if pool.template is not None and pool.sizing is not PoolSizing.FREE
    ]
    gangs = [need.shape for need in waiting if need.shape.count > 1]
    return {shape.id for shape in gangs if capacity.most_members(shape, snapshot.nodes, growth) < shape.count}


def _most(pool: Pool) -> int | None:
    return pool.size if pool.sizing is PoolSizing.FIXED else pool.largest


def _follow(
    snapshot: Snapshot,
    pool: Pool,
    present: int,
    waiting: Sequence[GroupDemand],
    unmet: dict[ShapeId, float],
    never: set[int],
) -> SizeDecision:
    """Decide for a pool that follows demand, and take what it will meet off `unmet`.

    No pool may grow for the shapes in `never`.
    """
    if pool.paused or snapshot.policy.scheduler_paused:
        what = "the pool" if pool.paused else "the scheduler"
        return _clamped(pool, SizeDecision(present, present, f"{what} is paused: the size stays as it is"))
    left = [need for need in waiting if unmet[need.shape.id] > 0]
    mine = [need for need in left if fits_new_node(need.shape, pool) and need.shape.id not in never]
    counts = {need.shape.id: ceil(unmet[need.shape.id]) for need in mine}
    hopeless = {
        need.shape.id: ceil(unmet[need.shape.id])
        for need in left
        if need.shape.id not in counts and need.shape.pool in {None, pool.name}
    }
    asked = {need.shape.id: unmet[need.shape.id] / _slots(need, pool) for need in mine}
    nodes = ceil(sum(asked.values()) - _ROUNDING)
    room = max(0, (present if pool.largest is None else pool.largest) - present) + pool.starting
    if pool.largest is None:
        room = nodes
    met = min(1.0, room / sum(asked.values())) if asked else 0.0
    for need in mine:
        unmet[need.shape.id] *= 1.0 - met
    if nodes > pool.starting:
        return _clamped(pool, _grow(pool, present, nodes - pool.starting, counts, hopeless))
    if nodes:
        why = f"waiting: {_counted(sum(counts.values()), 'job')}; on the way: {_counted(pool.starting, 'node')}"
        return _clamped(pool, SizeDecision(present, present, why, counts, hopeless))
    return _clamped(pool, _shrink(pool, present, hopeless, demand.waiting_for(list(waiting))))


def _grow(
    pool: Pool, present: int, more: int, counts: Mapping[ShapeId, int], hopeless: Mapping[ShapeId, int]
) -> SizeDecision:
    pace = pool.pace
    jobs = sum(counts.values())
    why = f"{_counted(jobs, 'job')} would wait longer than {pace.target_wait_s:g} s, but not with {_counted(more, 'more node')}"
    if pool.since_grown_s < pace.grow_pause_s:
        why += f", but it grew {pool.since_grown_s:.0f} s ago and pauses for {pace.grow_pause_s:g} s"
        return SizeDecision(present, present, why, counts, hopeless)
    if pace.grow_step is not None and more > pace.grow_step:
        more = pace.grow_step
        why += f", at most {more} at a time"
    return SizeDecision(present + more, present, why, counts, hopeless)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shrink(pool: Pool, present: int, hopeless: Mapping[ShapeId, int], waiting_for: Mapping[str, int]) -> SizeDecision:
    pace = pool.pace
    tired = sum(1 for idle_s in pool.idle_s.values() if idle_s >= pace.idle_s)
    why = "nothing waits for room"
    if hopeless:
        why = f"{_counted(sum(hopeless.values()), 'job')} could run on no node of this pool, not even on a new one"
    elif waiting_for:
        why += "; " + ", ".join(f"{count} wait for: {reason}" for reason, count in sorted(waiting_for.items()))
    if not tired:
        return SizeDecision(present, present, f"{why}, and no node has been idle for {pace.idle_s:g} s", {}, hopeless)
    since = min(pool.since_grown_s, pool.since_shrunk_s)
    if since < pace.shrink_pause_s:
        why += f"; idle: {_counted(tired, 'node')}, but the size changed {since:.0f} s ago and pauses for {pace.shrink_pause_s:g} s"
        return SizeDecision(present, present, why, {}, hopeless)
    fewer = tired if pace.shrink_step is None else min(tired, pace.shrink_step)
    return SizeDecision(
        present - fewer, present, f"{why}; idle for {pace.idle_s:g} s: {_counted(tired, 'node')}", {}, hopeless
    )


def _clamped(pool: Pool, decision: SizeDecision) -> SizeDecision:
    """Keep the wanted number between the smallest and the largest."""
    wanted, why = decision.wanted, decision.why
    if pool.largest is not None and wanted > pool.largest:
        wanted, why = pool.largest, f"{why}; the largest size is {pool.largest}"
    if wanted < pool.smallest:
        wanted, why = pool.smallest, f"{why}; the smallest size is {pool.smallest}"
    return SizeDecision(wanted, decision.present, why, decision.unmet, decision.hopeless)


def _slots(need: GroupDemand, pool: Pool) -> float:
    """Return how many jobs of a shape one new node would let start within the target wait."""
    assert pool.template is not None
    whole = pool.template.amounts()
    asked = need.shape.requires.amounts().items()
    copies = min((whole.get(name, 0) // amount for name, amount in asked if amount > 0), default=1)
    if need.shape.apart == NODE_LABEL:
        copies = 1
    target_s = pool.pace.target_wait_s
    within = max(_horizon(need, target_s) - pool.pace.start_s, target_s / _LATE_PART)
    return float(copies * demand.waves(need.expected_s, within))


def _horizon(need: GroupDemand, target_s: float) -> float:
    """Return what is left of the target wait for the job that waits longest.

    A late job still counts on what comes free within a part of the target wait.
    """
    return max(target_s - need.waited_s, target_s / _LATE_PART)


def _members(snapshot: Snapshot, pool: Pool) -> int:
    return sum(1 for node in snapshot.nodes if node.pool == pool.name and not node.draining)


_LATE_PART = 3
"""A job that is late already is to start within this part of the target wait, from when a node can take it.

With no time left, every late job would ask for a slot of its own, and the last jobs of a burst for a second fleet.
"""

_ROUNDING = 1e-6
"""A tolerance, so that fractions that should add up to a whole number of nodes do not ask for one more."""
