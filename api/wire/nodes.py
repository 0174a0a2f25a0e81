"""What clients send about nodes, and what answers about them look like."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from api.paging import OrderedQuery
from api.wire.answers import ListOf
from api.wire.fields import QueryBool, QueryId, View


class NodesQuery(OrderedQuery):
    """A list of nodes. Repeat a parameter for alternatives."""

    id: list[QueryId] = []
    name: list[str] = []
    hostname: list[str] = []
    pool: list[str] = []
    state: list[Literal["READY", "LOST", "GONE"]] = []
    is_active: QueryBool | None = None
    is_paused: QueryBool | None = None


class NodeResources(View):
    """What a node has, what placements hold of it, and what is left."""

    total: dict[str, float]
    scheduled: dict[str, float]
    free: dict[str, float]


class NodeView(View):
    """A node."""

    id: int
    name: str
    hostname: str
    pool: str
    state: str
    epoch: int
    is_online: bool
    is_active: bool
    is_paused: bool
    pause_reason: str | None
    is_draining: bool
    degraded: str | None
    resources: NodeResources
    labels: dict[str, str]
    num_placed: int
    num_running: int
    load: dict[str, float]
    version: str
    powers: dict[str, Any]
    created: datetime
    registered: datetime
    archived: datetime | None
    last_beat: datetime | None
    last_modified: datetime


class NodeList(ListOf):
    """A page of nodes."""

    results: list[NodeView]
