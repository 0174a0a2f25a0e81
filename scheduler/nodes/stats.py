"""How nodes have done of late: what became of their executions, and what runs on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.nodes import stats
from scheduler.store.paging import Page

MOST_RUNNING = 100
"""Running executions shown of one node."""


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What the nodes of a page have done: counts of their executions, and what runs there, by node id."""

    counts: Mapping[int, list[Any]]
    running: Mapping[int, list[Any]]


def doings(rt: Runtime, caller: Caller, nodes: Page, started: datetime | None, ended: datetime | None) -> NodeStats:
    """Return what these nodes have done in a window, as far as the caller may see it."""
    ids = [row.id for row in nodes.rows]
    with rt.db.begin() as tx:
        counts = stats.counts(tx, ids, project_id=caller.project_id, started=started, ended=ended)
        running = stats.running(tx, ids, project_id=caller.project_id, limit=MOST_RUNNING)
    return NodeStats(_by_node(counts), _by_node(running))


def _by_node(rows: list[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.node_id, []).append(row)
    return found
