"""Nodes: the machines that run jobs."""

from __future__ import annotations

from api.http import paging
from api.http.auth import permit_everywhere
from api.http.nodes import view
from api.http.nodes.schema import NodeChange, NodeList, NodesQuery, NodeStatusList, NodeStatusQuery, NodeView
from api.http.routing import ApiCall, Routes
from api.http.schema import times
from api.http.schema.fields import changes
from scheduler.errors import InvalidInput
from scheduler.identifiers import NodeId
from scheduler.identity import Role
from scheduler.nodes import admin, queries, stats
from scheduler.nodes.admin import NodeChanges
from scheduler.store.nodes import listing
from scheduler.store.nodes.listing import NodeFilter

routes = Routes("nodes")


@routes.get("/nodes/", role=Role.VIEWER, answers={200: NodeList}, orders=tuple(listing.KEYS))
def list_nodes(call: ApiCall, query: NodesQuery) -> NodeList:
    """Nodes with their capacity, what is taken of it, and how they do; by name.

    Nodes that have left are shown only to a request that asks by state, id, name or host name, or for nodes out of service.
    """
    asked = paging.window(query, tuple(listing.KEYS), ["name"])
    return paging.envelope(queries.page(call.rt, _chosen(query), asked), asked, view.entry)


@routes.get("/nodes/status/", role=Role.VIEWER, answers={200: NodeStatusList}, orders=tuple(listing.KEYS))
def list_node_statuses(call: ApiCall, query: NodeStatusQuery) -> NodeStatusList:
    """Nodes with counts of their executions since `started` (default 3 hours) and what runs there, by name."""
    asked = paging.window(query, tuple(listing.KEYS), ["name"])
    started, ended = times.window(query.started, query.ended, call.rt.now())
    page = queries.page(call.rt, _chosen(query), asked)
    found = stats.read_stats(call.rt, call.caller, page, started, ended)
    return paging.envelope(
        page, asked, lambda row: view.status(row, found.counts.get(row.id, ()), found.running.get(row.id, ()))
    )


@routes.get("/nodes/<id:node_id>/", role=Role.VIEWER, answers={200: NodeView})
def show_node(call: ApiCall, node_id: NodeId) -> NodeView:
    """One node."""
    return view.entry(queries.get(call.rt, node_id))


@routes.patch("/nodes/<id:node_id>/", role=Role.OPERATOR, answers={200: NodeView})
def change_node(call: ApiCall, node_id: NodeId, body: NodeChange) -> NodeView:
    """Pause a node or let it go on, let it finish and leave, or take it out of service for good."""
    permit_everywhere(call.caller)
    facts = changes(body, NodeChanges)
    if not facts:
        raise InvalidInput("the body changes nothing")
    admin.change(call.rt, call.caller, node_id, facts)
    return view.entry(queries.get(call.rt, node_id))


def _chosen(query: NodesQuery) -> NodeFilter:
    return NodeFilter(
        id=tuple(query.id),
        name=tuple(query.name),
        hostname=tuple(query.hostname),
        pool=tuple(query.pool),
        state=tuple(query.state),
        is_active=query.is_active,
        is_paused=query.is_paused,
    )
