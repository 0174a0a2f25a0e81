"""The records that the cluster state is made of: queued jobs, shapes, executions, nodes, and what operators have set."""

from __future__ import annotations

from typing import NamedTuple

from scheduler.documents import ConstraintDocument, PoolSettingsDocument, QuotaDocument, ShapeOptions
from scheduler.identifiers import Attempt, Epoch, ExecutionId, JobId, JobTypeId, NodeId, PoolId, ProjectId, ShapeId


class QueuedJob(NamedTuple):
    """A job that is queued or has just ceased to be; times are epoch seconds of the database's clock."""

    id: JobId
    shape_id: ShapeId
    status: str
    attempt: Attempt
    avoid_nodes: list[NodeId]
    is_held: bool
    hold_reason: str | None
    queued_at: float
    not_before: float | None


class ShapeRow(NamedTuple):
    """A shape as stored; amounts in thousandths."""

    id: ShapeId
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int]
    constraints: list[ConstraintDocument]
    options: ShapeOptions
    pool: str | None
    project_id: ProjectId
    job_type_id: JobTypeId
    priority: int


class ExecutionState(NamedTuple):
    """An execution that holds room or has just released it. `placed` and `ended` are in epoch seconds; `ended` and `ran_s` are None while it runs."""

    id: ExecutionId
    node_id: NodeId
    job_id: JobId
    attempt: Attempt
    status: str
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int] | None
    released: bool
    placed: float
    ended: float | None
    ran_s: float | None
    project_id: ProjectId
    job_type_id: JobTypeId
    priority: int
    timeout_s: int | None
    preemptible: bool
    stopping: bool
    serial: int | None
    is_ahead: bool
    started: float | None
    shape_id: ShapeId


class NodeStateRow(NamedTuple):
    """A node as placement sees it; amounts in thousandths."""

    id: NodeId
    name: str
    epoch: Epoch
    pool: str
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int]
    labels: dict[str, str]
    launch_failures: int
    ready: bool
    gone: bool
    paused: bool
    draining: bool
    projects: list[ProjectId] | None
    runs_ahead: bool


class PoolTemplate(NamedTuple):
    """The facts of a new node of a pool: amounts in thousandths by resource. `most`: how many it may have, None: any number."""

    id: PoolId
    name: str
    template: dict[str, int]
    labels: dict[str, str]
    most: int | None


class ProjectAccount(NamedTuple):
    """A project's weight, pause and quota, and what it has used and is owed."""

    id: ProjectId
    weight: float
    is_paused: bool
    quota: QuotaDocument
    usage: float
    lag_s: float
    credit: float


class LimitedType(NamedTuple):
    """A job type that is paused, or of which only so many jobs may run."""

    id: JobTypeId
    is_paused: bool
    max_scheduled: int | None


class PoolPolicy(NamedTuple):
    """A pool's pause and settings."""

    name: str
    is_paused: bool
    settings: PoolSettingsDocument


class ShareAccount(NamedTuple):
    """The amounts that a project has held on average, and its debt from others: see `fairshare.decayed` and `fairshare.Lag`."""

    usage: float
    lag_s: float
    credit: float
