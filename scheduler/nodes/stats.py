"""Statistics of nodes: the outcomes of their executions in a time window, and what runs there now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from scheduler.identifiers import NodeId
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.nodes import stats
from scheduler.store.nodes.listing import NodeRow
from scheduler.store.nodes.stats import NodeCount, RunningOnNode
from scheduler.store.paging import RowPage

OfNode = TypeVar("OfNode", NodeCount, RunningOnNode)

MOST_RUNNING = 100
"""Most running executions that are shown of one node."""


@dataclass(frozen=True, slots=True)
class NodeStats:
    """Counts of executions, and the running executions, by node id."""

    counts: Mapping[NodeId, list[NodeCount]]
    running: Mapping[NodeId, list[RunningOnNode]]


def read_stats(
    rt: Runtime, caller: Caller, nodes: RowPage[NodeRow], started: datetime | None, ended: datetime | None
) -> NodeStats:
    """Return the statistics of these nodes for a time window, as far as the caller may see them."""
    ids = [row.id for row in nodes.rows]
    with rt.db.begin() as tx:
        counts = stats.counts(tx, ids, project_id=caller.project_id, started=started, ended=ended)
        running = stats.running(tx, ids, project_id=caller.project_id, limit=MOST_RUNNING)
    return NodeStats(_by_node(counts), _by_node(running))


def _by_node(rows: list[OfNode]) -> dict[NodeId, list[OfNode]]:
    found: dict[NodeId, list[OfNode]] = {}
    for row in rows:
        found.setdefault(row.node_id, []).append(row)
    return found
