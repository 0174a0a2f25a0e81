"""Answers about the whole installation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.http.scheduler.schema import SchedulerView


class Dependency(TypedDict):
    """A server that Ganger needs, as seen from this process."""

    ok: bool
    latency_ms: float | None
    detail: str | None


class Dependencies(TypedDict):
    """The servers that Ganger needs. Without the broker nodes hear of their work later, nothing else."""

    database: Dependency
    broker: Dependency


class JobCounts(TypedDict):
    """Jobs the caller may see, by status; those that ended, in the last three hours."""

    pending_upload: int
    pending: int
    blocked: int
    queued: int
    running: int
    held: int
    oldest_queued_s: float | None
    completed: int
    failed: int
    canceled: int


class RoomByResource(TypedDict):
    """The resources of nodes that can be reached: all of them, the part that placements hold, and the rest. Memory and disk in MiB."""

    total: dict[str, float]
    scheduled: dict[str, float]
    free: dict[str, float]


class _PoolInShort(TypedDict):
    name: str
    nodes: dict[str, int]


class PoolStanding(_PoolInShort, RoomByResource):
    """A pool: nodes by state, and what those that can be reached have. Memory and disk in MiB."""


class NodeCounts(TypedDict):
    """Nodes by state."""

    total: int
    by_state: dict[str, int]


class StatusView(TypedDict):
    """How the installation stands. 503 with the same body when no scheduler leads."""

    timestamp: datetime
    version: str
    scheduler: SchedulerView
    dependencies: Dependencies
    nodes: NodeCounts
    executions: Annotated[dict[str, int], Field(description="placed and not yet released; of these running")]
    resources: Annotated[dict[str, dict[str, float]], Field(description="total, scheduled and free over all pools")]
    pools: list[PoolStanding]
    jobs: JobCounts
    warnings: list[str]
