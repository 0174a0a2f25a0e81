"""Nodes: the machines that run jobs."""

from __future__ import annotations

from typing import Any

from api import paging
from api.routing import Call, Routes
from api.views import nodes as view
from api.wire.nodes import NodeList, NodesQuery, NodeView
from scheduler import node_lookup
from scheduler.store import node_listing
from scheduler.store.node_listing import NodeFilter
from scheduler.tokens import Role

routes = Routes("nodes")


@routes.get("/nodes/", role=Role.VIEWER, answers={200: NodeList})
def list_nodes(call: Call, query: NodesQuery) -> Any:
    """Nodes with their capacity, what is taken of it, and how they do; by name."""
    asked = paging.window(query, tuple(node_listing.KEYS), ["name"])
    chosen = NodeFilter(
        id=tuple(query.id),
        name=tuple(query.name),
        hostname=tuple(query.hostname),
        pool=tuple(query.pool),
        state=tuple(query.state),
        is_active=query.is_active,
        is_paused=query.is_paused,
    )
    return paging.envelope(node_lookup.page(call.rt, chosen, asked), asked, view.entry)


@routes.get("/nodes/<id:node_id>/", role=Role.VIEWER, answers={200: NodeView})
def show_node(call: Call, node_id: int) -> Any:
    """One node."""
    return view.entry(node_lookup.find(call.rt, node_id))
