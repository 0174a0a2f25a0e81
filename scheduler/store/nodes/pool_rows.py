"""The records of pools: what is wanted of them, what was decided, what happened, and the nodes in them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Required, TypedDict

from scheduler.documents import Document, PoolSettingsDocument
from scheduler.identifiers import JobId, NodeId, PoolId


class DriverShareDocument(TypedDict, total=False):
    """A driver that starts a pool's nodes, and how many of them at most (missing or None: no limit)."""

    driver: Required[str]
    max: int | None


class SizeDecisionDetail(TypedDict, total=False):
    """The facts that a decision about a pool's size rests on: jobs without room by shape id, and what a new node would be."""

    unmet: dict[str, int]
    hopeless: dict[str, int]
    template: dict[str, int] | None
    labels: dict[str, str]


class PoolRow(NamedTuple):
    """A pool: what operators want of it, and the last decision about it (None where there was none).

    `template` has thousandths by resource; `decided` is when the decision was made.
    """

    id: PoolId
    name: str
    labels: dict[str, str]
    template: dict[str, int] | None
    settings: PoolSettingsDocument
    sizing: str
    size: int
    smallest: int
    largest: int | None
    drivers: list[DriverShareDocument]
    is_paused: bool
    pause_reason: str | None
    created: datetime
    last_modified: datetime
    wanted: int | None
    present: int | None
    starting: int | None
    why: str | None
    trouble: str | None
    detail: SizeDecisionDetail | None
    decided: datetime | None


class PoolMember(NamedTuple):
    """A node of a pool that is there, lost, or still to be cleared away. `busy`: something holds its room."""

    id: NodeId
    name: str
    pool_id: PoolId
    state: str
    is_draining: bool
    is_leaving: bool
    is_retiring: bool
    is_silent: bool
    overdue: bool | None
    busy: bool


class PoolCounts(NamedTuple):
    """Nodes of a pool by what they do, what they have, and what of it is taken (thousandths)."""

    pool_id: PoolId
    nodes: int
    ready: int
    draining: int
    silent: int
    cpus: int
    mem: int
    disk: int
    used_cpus: int
    used_mem: int
    used_disk: int
    running: int


class OverdueJob(NamedTuple):
    """A job that still runs on a node whose time to finish is over."""

    job_id: JobId
    node_id: NodeId


class PoolEventRow(NamedTuple):
    """Something that happened to a pool, by whom and why."""

    id: int
    at: datetime
    event: str
    actor: str
    reason: str | None
    detail: Document


class PoolChanges(TypedDict, total=False):
    """The changes that operators make to a pool, by column."""

    labels: dict[str, str]
    template: dict[str, int] | None
    settings: PoolSettingsDocument
    drivers: list[DriverShareDocument]
    sizing: str
    size: int
    smallest: int
    largest: int | None
    is_paused: bool
    pause_reason: str | None
