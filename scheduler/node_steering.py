"""Steer nodes: pause, drain, take out of service; and see how each has done of late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.errors import InvalidInput, NotFound
from scheduler.runtime import Runtime
from scheduler.store import audit, node_steering
from scheduler.store.paging import Page
from scheduler.tokens import Caller

MOST_RUNNING = 100
"""Running executions shown of one node."""


@dataclass(frozen=True, slots=True)
class Doings:
    """What the nodes of a page have done: counts of their executions, and what runs there, by node id."""

    counts: Mapping[int, list[Any]]
    running: Mapping[int, list[Any]]


def change(rt: Runtime, caller: Caller, node_id: int, facts: Mapping[str, Any]) -> None:
    """Change what is set of a node. Raises NotFound; InvalidInput for a reason without a pause.

    A paused node gets no new work; a draining one neither, and is told so; one that is not active neither, for good.
    What runs there goes on. Going on always clears the reason.
    """
    with rt.db.begin() as tx:
        row = node_steering.lock(tx, node_id)
        if row is None:
            raise NotFound(f"there is no node {node_id}")
        node_steering.update(tx, node_id, with_reason({**row, **facts}, facts, "a node"))
        audit.write(
            tx, caller.name, "node.change", f"node:{node_id}", reason=facts.get("pause_reason"), detail=dict(facts)
        )
    rt.nudge("tick")


def with_reason(changed: dict[str, Any], facts: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return all columns as they shall be: what goes on has no reason for a pause. Raises InvalidInput."""
    if changed["is_paused"]:
        return changed
    if facts.get("pause_reason") is not None:
        raise InvalidInput(f"a pause_reason is only for {what} that is paused", field="pause_reason")
    return {**changed, "pause_reason": None}


def doings(rt: Runtime, caller: Caller, nodes: Page, started: datetime | None, ended: datetime | None) -> Doings:
    """Return what these nodes have done in a window, as far as the caller may see it."""
    ids = [row.id for row in nodes.rows]
    with rt.db.begin() as tx:
        counts = node_steering.counts(tx, ids, project_id=caller.project_id, started=started, ended=ended)
        running = node_steering.running(tx, ids, project_id=caller.project_id, limit=MOST_RUNNING)
    return Doings(_by_node(counts), _by_node(running))


def _by_node(rows: list[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.node_id, []).append(row)
    return found
