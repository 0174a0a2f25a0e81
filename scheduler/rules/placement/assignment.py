"""Assignment: on which nodes the members of a job go, and how many on each."""

from dataclasses import dataclass

import numpy as np

from scheduler.rules.cluster.nodes import Amounts, Mask, Nodes, Rows
from scheduler.rules.cluster.policy import Packing, Policy
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters, scoring
from scheduler.rules.placement.plan_state import EndTimes, PlanState
from scheduler.rules.placement.scoring import NO_ASSIGNMENT, Assignment

_CANDIDATES = 256
"""Nodes that are compared closely where more have room: the best of so many is hardly worse than the best of all."""

_TIGHTNESS = 0.1
"""The weight of a tight fit beside fragmentation.

Of two nodes on which the waiting jobs lose about the same, the fuller one is chosen.
"""

_PORTION = 4
"""Of equal members, a node gets at most a fourth of those it has room for at a time.

Each of them changes the proportions of what is left there, so the choice is made anew.
"""


@dataclass(frozen=True, slots=True)
class AssignmentRequest:
    """Members of a shape that need nodes, and when they will have ended.

    `avoid` has the nodes where the job failed; `turn`, 0 to 1, decides between equal nodes.
    """

    shape: Shape
    need: Amounts
    ends: EndTimes
    avoid: frozenset[int] = frozenset()
    turn: float = 0.0


def assign(request: AssignmentRequest, state: PlanState, policy: Policy, wanted: int) -> Assignment:
    """Return nodes for up to `wanted` members, best first. They may be fewer than fit, but some if any fit.

    Counts nothing yet. For a gang, all that fit are returned, up to `wanted`.
    """
    shape = request.shape
    where = filters.eligible(shape, state.nodes, policy)
    rows = np.flatnonzero(state.fits(request.need, where, request.ends))
    if not len(rows):
        return NO_ASSIGNMENT
    first = int(request.turn * len(rows))
    rows = np.concatenate((rows[first:], rows[:first]))
    several = _in_one_pass if shape.apart is None and shape.spread is None else _one_by_one
    choice = several(request, state, policy, rows, wanted)
    return Assignment(choice.rows, choice.counts, len(rows))


def kept_apart(shape: Shape, state: PlanState) -> Mask:
    """Return the rows that `shape.apart` forbids.

    These are the rows where the label has a value that an execution of the same project and job type has already.
    """
    codes = state.nodes.label_codes(shape.apart or "")
    used = codes[list(state.peer_rows(shape))]
    return np.asarray(np.isin(codes, used[used >= 0])) if shape.apart is not None else codes < -1


def _in_one_pass(request: AssignmentRequest, state: PlanState, policy: Policy, rows: Rows, wanted: int) -> Assignment:
    """Assign many members at once: nodes of packed pools first, then those of spread pools."""
    even = _rows_of_spread_pools(policy, state.nodes)
    packed = rows if even is None else rows[~even[rows]]
    choice = _packed(request, state, packed, wanted) if len(packed) else NO_ASSIGNMENT
    if even is not None and len(packed) < len(rows):
        rest = wanted - int(choice.counts.sum())
        choice = scoring.joined(choice, _spread(request, state, rows[even[rows]], rest))
    return choice


def _packed(request: AssignmentRequest, state: PlanState, rows: Rows, wanted: int) -> Assignment:
    """Choose the nodes on which the waiting jobs lose the least; of those that lose the same, the fullest."""
    whole = request.shape.count > 1
    ranked = _ranks(request, state, rows)
    if ranked is not None and not whole:
        rows, ranked = rows[ranked == 0], None
    if not whole:
        rows = _candidates(rows, state)
    if len(rows) > 1:
        size = float(state.scale @ request.need)
        # Without the second term, nodes that lose the same (all of them, if only equal jobs wait) would fill up evenly.
        scores = state.loss(request.need, rows) + _TIGHTNESS * size * state.left[rows]
        rows = scoring.best(rows, scores, wanted) if ranked is None else rows[np.lexsort((scores, ranked))]
    return scoring.pack(request.need, state.room(rows, request.ends), rows, wanted, 1 if whole else _PORTION)


def _candidates(rows: Rows, state: PlanState) -> Rows:
    """Return a bounded number of many rows, in their order: the fullest, and others from all over the fleet."""
    if len(rows) <= _CANDIDATES:
        return rows
    # Half of them the fullest, where a job fits most tightly; and every n-th of all, since the fullest are often alike.
    some = np.zeros(len(rows), dtype=np.bool_)
    some[np.argpartition(state.left[rows], _CANDIDATES // 2)[: _CANDIDATES // 2]] = True
    some[:: -(-2 * len(rows) // _CANDIDATES)] = True
    return rows[some]


def _spread(request: AssignmentRequest, state: PlanState, rows: Rows, wanted: int) -> Assignment:
    """Choose nodes so that the used fraction is even."""
    ranked = _ranks(request, state, rows)
    room = state.room(rows, request.ends)
    capacity = state.nodes.capacity[:, rows]
    return scoring.spread(
        request.need, room, capacity, rows, np.zeros(len(rows), dtype=np.int64) if ranked is None else ranked, wanted
    )


def _ranks(request: AssignmentRequest, state: PlanState, rows: Rows) -> scoring.Ranks | None:
    if not request.shape.preferences and not request.avoid:
        return None
    return scoring.ranks(state.nodes, rows, request.shape.preferences, request.avoid)


def _one_by_one(request: AssignmentRequest, state: PlanState, policy: Policy, rows: Rows, wanted: int) -> Assignment:
    """Assign members one after the other, for shapes whose members depend on where the others are."""
    shape, nodes = request.shape, state.nodes
    peers, barred = state.peer_rows(shape), kept_apart(shape, state)
    most = dict(
        zip(rows.tolist(), scoring.room_for(request.need, state.room(rows, request.ends)).tolist(), strict=True)
    )
    counts: dict[int, int] = {}
    for _ in range(wanted):
        open_rows = rows[~barred[rows]]
        if not len(open_rows):
            break
        open_rows = _least_crowded(shape, nodes, peers, open_rows)
        found = _in_one_pass(request, state, policy, open_rows, 1).rows
        if not len(found):
            break
        row = int(found[0])
        counts[row] = counts.get(row, 0) + 1
        peers[row] = peers.get(row, 0) + 1
        if shape.apart is not None:
            barred = barred | _same_value(nodes, shape.apart, row)
        if counts[row] >= most[row]:
            rows = rows[rows != row]
    return Assignment(np.array(list(counts), dtype=np.intp), np.array(list(counts.values()), dtype=np.int64))


def _least_crowded(shape: Shape, nodes: Nodes, peers: dict[int, int], rows: Rows) -> Rows:
    """Return the rows whose value of the spread label has the fewest executions of the same kind.

    Rows without the label come last.
    """
    if shape.spread is None:
        return rows
    codes = nodes.label_codes(shape.spread)
    crowd = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.int64)
    crowd[-1] = np.iinfo(np.int64).max
    for row, count in peers.items():
        if codes[row] >= 0:
            crowd[codes[row]] += count
    crowds = crowd[codes[rows]]
    least: Rows = rows[crowds == crowds.min()]
    return least


def _same_value(nodes: Nodes, label: str, row: int) -> Mask:
    codes = nodes.label_codes(label)
    return np.asarray((codes == codes[row]) & (codes >= 0))


def _rows_of_spread_pools(policy: Policy, nodes: Nodes) -> Mask | None:
    """Return the rows of nodes in pools that are spread rather than packed; None when there are none."""
    pools = frozenset(pool for pool, packing in policy.packing.items() if packing is Packing.SPREAD)
    if not pools:
        return None
    named = nodes.in_pools(frozenset(pool for pool in pools if pool is not None))
    return named | nodes.without_pool() if None in pools else named
