"""The room that comes in a moment: what is ahead on each node, and what is free there once all short work has ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Amounts, Nodes, Rows
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.placement.plan_state import PlanState

MOST_AHEAD = 1000
"""Executions ahead on one node, however short they are: a claim of them is one message."""

NOBODY = int(np.iinfo(np.int64).max)

SOON = 3.0
"""A reservation that begins within so many times `ahead_s` wants its node without anything ahead; what runs for longer is not short."""

_LEAST_PART = 0.001
"""A job that asks for nothing still takes this part of its node's time."""


@dataclass(slots=True)
class AheadRoom:
    """The work ahead on each node row.

    `soon` is what is free once all short work there has ended; `count` is how many wait ahead. `wanted_by` is the most urgent
    priority that waits for its next room. `waiting` has row, seconds of the whole node and priority of each that waits there,
    `added_s` the seconds that this plan adds: it plans the most urgent first, so they count for all that follow.
    """

    soon: Amounts
    count: NDArray[np.int64]
    wanted_by: NDArray[np.int64]
    added_s: NDArray[np.float64]
    waiting: tuple[Rows, NDArray[np.float64], NDArray[np.int64]]
    _known: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def work_s(self, priority: int) -> NDArray[np.float64]:
        """Return how much work each row starts before a job of this priority that comes now, in seconds of the whole node.

        Nodes start the more urgent first, so what is less urgent is no reason to keep it away from them.
        """
        before = self._known.get(priority)
        if before is None:
            rows, seconds, priorities = self.waiting
            first = priorities <= priority
            before = np.zeros(len(self.count))
            np.add.at(before, rows[first], seconds[first])
            self._known[priority] = before
        return before + self.added_s

    def counts(
        self, nodes: Nodes, need: Amounts, rows: Rows, work_s: NDArray[np.float64], brief_s: float, allowed_s: float
    ) -> NDArray[np.int64]:
        """Return how many jobs of this length each row may have ahead, beyond the work that it has before them."""
        each_s = shares(need, nodes.capacity[:, rows]) * brief_s
        by_time = np.floor(np.maximum(allowed_s - work_s, 0.0) / np.maximum(each_s, 1e-9))
        return np.minimum(by_time, np.maximum(MOST_AHEAD - self.count[rows], 0)).astype(np.int64)


def read(
    snapshot: Snapshot, state: PlanState, now: float, allowed_s: float, begins: Sequence[tuple[Rows, Amounts]]
) -> "AheadRoom":
    """Sum up what is ahead on each node, and what it has free once all has ended that is sure to be short."""
    running, nodes = snapshot.running, snapshot.nodes
    width = nodes.capacity.shape[1]
    rows = nodes.rows_of(running.node_ids)
    live = np.flatnonzero((running.node_ids >= 0) & (rows >= 0))
    soon = live[
        running.waits[live] | (running.brief[live] <= allowed_s) & (now - running.started[live] <= SOON * allowed_s)
    ]
    nothing = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64)
    count, wanted_by = np.zeros(width, dtype=np.int64), np.full(width, NOBODY)
    room = AheadRoom(state.free.copy(), count, wanted_by, np.zeros(width), nothing)
    for begun, takes in begins:
        np.add.at(room.soon.T, begun, takes.T)
    requests = running.requests()
    if len(soon):
        table = np.stack([nodes.vector(request) for request in requests], axis=1)
        np.add.at(room.soon.T, rows[soon], table[:, running.request[soon]].T)
        ahead = soon[running.waits[soon]]
        parts = shares(table[:, running.request[ahead]], nodes.capacity[:, rows[ahead]])
        seconds = parts * np.minimum(running.brief[ahead], allowed_s)
        room.waiting = rows[ahead], seconds, running.priority[ahead]
        np.add.at(room.count, rows[ahead], 1)
    return room


def shares(need: Amounts, capacity: Amounts) -> NDArray[np.float64]:
    """Return the part of each node (a column of `capacity`) that one job takes: of what it takes most of."""
    wide = need if need.ndim == capacity.ndim else need[:, None]
    parts = np.where(wide > 0, wide / np.maximum(capacity, 1), 0.0)
    return np.asarray(np.maximum(parts.max(axis=0, initial=0.0), _LEAST_PART), dtype=np.float64)


def fewest_first(
    rows: Rows, counts: NDArray[np.int64], work_s: NDArray[np.float64], wanted: int
) -> tuple[Rows, NDArray[np.int64]]:
    """Return rows and counts cut to `wanted`, the nodes with the least work ahead first, each to its part."""
    order = np.argsort(work_s, kind="stable")
    rows, counts = rows[order], counts[order]
    total = int(counts.sum())
    if total > wanted:
        counts = np.minimum(counts, np.maximum(1, -(-counts * wanted // max(total, 1))))
        counts = np.clip(wanted - (np.cumsum(counts) - counts), 0, counts)
    some = counts > 0
    return rows[some], counts[some]
