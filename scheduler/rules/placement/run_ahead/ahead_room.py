"""The room that comes in a moment: what is ahead on each node, and what is free there once all short work has ended."""

from collections.abc import Sequence
from dataclasses import dataclass

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

    `soon` is what is free once all short work there has ended; `work_s` how much waits ahead, in seconds of the whole node, and
    `count` how many. `wanted_by` is the most urgent priority that waits for its next room.
    """

    soon: Amounts
    work_s: NDArray[np.float64]
    count: NDArray[np.int64]
    wanted_by: NDArray[np.int64]

    def counts(self, nodes: Nodes, need: Amounts, rows: Rows, brief_s: float, allowed_s: float) -> NDArray[np.int64]:
        """Return how many jobs of this length each row may have ahead, beyond what it has."""
        each_s = shares(need, nodes.capacity[:, rows]) * brief_s
        by_time = np.floor(np.maximum(allowed_s - self.work_s[rows], 0.0) / np.maximum(each_s, 1e-9))
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
    room = AheadRoom(state.free.copy(), np.zeros(width), np.zeros(width, dtype=np.int64), np.full(width, NOBODY))
    for begun, takes in begins:
        np.add.at(room.soon.T, begun, takes.T)
    requests = running.requests()
    if len(soon):
        table = np.stack([nodes.vector(request) for request in requests], axis=1)
        np.add.at(room.soon.T, rows[soon], table[:, running.request[soon]].T)
        ahead = soon[running.waits[soon]]
        parts = shares(table[:, running.request[ahead]], nodes.capacity[:, rows[ahead]])
        np.add.at(room.work_s, rows[ahead], parts * np.minimum(running.brief[ahead], allowed_s))
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
