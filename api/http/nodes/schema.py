"""Requests and answers about nodes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf, NodeInShort, Reference, TypeInShort
from api.http.schema.fields import LEFT_OUT, MAX_TIMEOUT_S, Bound, ChangeBody, QueryBool, QueryId, Reason

NodeState = Literal["READY", "AVOIDED", "DEGRADED", "DRAINING", "PAUSED", "OFFLINE", "LOST", "GONE", "DEPRECATED"]
LaunchFailures = Annotated[
    int, Field(description="launches that failed by the node's fault since one has worked, as far as they count")
]
AvoidedUntil = Annotated[
    datetime | None,
    Field(
        description="it gets no work for failing to start jobs, and its next chance then; an operator's is_paused: false clears that"
    ),
]


class NodesQuery(OrderedQuery):
    """A list of nodes. Repeat a parameter for alternatives."""

    id: list[QueryId] = []
    name: list[str] = []
    hostname: list[str] = []
    pool: list[str] = []
    state: list[Literal["READY", "LOST", "GONE"]] = []
    is_active: QueryBool | None = None
    is_paused: QueryBool | None = None


class NodeResources(TypedDict):
    """The resources of a node: all of them, the part that placements hold, and the rest."""

    total: dict[str, float]
    scheduled: dict[str, float]
    free: dict[str, float]


class NodeView(TypedDict):
    """A node."""

    id: int
    name: str
    hostname: str
    pool: str
    state: NodeState
    epoch: int
    is_online: bool
    is_active: bool
    is_paused: bool
    pause_reason: str | None
    is_draining: bool
    degraded: str | None
    launch_failures: LaunchFailures
    avoided_until: AvoidedUntil
    resources: NodeResources
    isolation: str | None
    labels: dict[str, str]
    num_placed: int
    num_running: int
    load: dict[str, float]
    version: str
    powers: Mapping[str, object]
    created: datetime
    registered: datetime
    archived: datetime | None
    last_beat: datetime | None
    clock_skew_s: Annotated[
        float | None,
        Field(description="how far its wall clock is ahead of the server's, less the way of its last heartbeat"),
    ]
    last_modified: datetime


class NodeList(ListOf):
    """A page of nodes."""

    results: list[NodeView]


class NodeChange(ChangeBody):
    """Changes to a node; a field that is left out stays as it is. Ending a pause (`is_paused` false) clears its reason."""

    is_paused: bool = LEFT_OUT
    pause_reason: Reason | None = None
    is_draining: Annotated[bool, Field(description="finish what runs, take nothing new, then leave")] = LEFT_OUT
    drain_reason: Reason | None = None
    drain_s: Annotated[
        float | None, Field(ge=0, le=MAX_TIMEOUT_S, description="then what still runs is stopped and queued again")
    ] = None
    is_active: bool = LEFT_OUT


class NodeStatusQuery(NodesQuery):
    """Which nodes, and how far back to count."""

    started: Bound = "PT3H"
    ended: Bound | None = None


class ExecutionCount(TypedDict):
    """How many executions of a node have a status, and for failed ones whose fault it was."""

    status: str
    count: int
    most_recent: datetime
    category: str | None


class RunningExecution(TypedDict):
    """An execution that runs on a node."""

    id: int
    job: Reference
    job_type: TypeInShort
    attempt: int
    started: datetime | None


class NodeStatus(TypedDict):
    """The state and the recent work of a node. At most 100 of the running executions are listed; the counts are of all."""

    node: NodeInShort
    pool: str
    state: NodeState
    is_online: bool
    launch_failures: LaunchFailures
    avoided_until: AvoidedUntil
    job_exe_counts: list[ExecutionCount]
    job_exes_running: list[RunningExecution]


class NodeStatusList(ListOf):
    """A page of nodes with what they have done."""

    results: list[NodeStatus]
