"""Queries of nodes: their amounts, what is in use, what runs there."""

from __future__ import annotations

from scheduler.errors import NotFound
from scheduler.identifiers import NodeId
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.nodes import listing
from scheduler.store.nodes.listing import NodeFilter, NodeRow
from scheduler.store.paging import PageWindow, RowPage


def page(rt: Runtime, chosen: NodeFilter, window: PageWindow) -> RowPage[NodeRow]:
    """Return one page of nodes."""
    with rt.db.begin() as tx:
        return paging.read(tx, listing.NODES, listing.condition(chosen), window)


def get(rt: Runtime, node_id: NodeId) -> NodeRow:
    """Return one node's row; raises NotFound."""
    rows = page(rt, NodeFilter(id=(node_id,)), PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no node {node_id}")
    return rows[0]
