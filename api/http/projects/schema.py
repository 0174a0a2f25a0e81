"""Requests and answers about projects."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Amount, Body, ChangeBody, QueryBool, Reason, Title, Word
from scheduler.rules.cluster.fairshare import LEAST_WEIGHT

Weight = Annotated[
    float, Field(ge=LEAST_WEIGHT, le=1_000_000, description="share of the machines, beside the other projects'")
]
SecretTypes = Annotated[
    list[Word],
    Field(max_length=200, description="names of the installation's job types that may name secrets of this project"),
]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class QuotaBody(Body):
    """Limits of a project: the room it may hold at one time, and how many of its jobs may wait; null is no limit."""

    queued_jobs: Annotated[
        Count | None, Field(description="waiting jobs; a submission over it is refused with 429")
    ] = None
    jobs: Annotated[Count | None, Field(description="placed jobs")] = None
    cpus: Annotated[Amount | None, Field(description="of placed jobs")] = None
    mem: Annotated[Amount | None, Field(description="of placed jobs, in MiB")] = None


Days = Annotated[int, Field(ge=0, le=36_500)]
Limit = Annotated[int, Field(ge=0, le=2**53)]


class RetentionBody(Body):
    """What a project keeps of what has ended, since its last change; 0 is for ever, null is what the installation keeps."""

    completed_days: Annotated[Days | None, Field(description="COMPLETED jobs")] = None
    failed_days: Annotated[Days | None, Field(description="FAILED jobs")] = None
    canceled_days: Annotated[Days | None, Field(description="CANCELED jobs")] = None
    jobs: Annotated[Limit | None, Field(description="the newest ended jobs, so many")] = None
    output_days: Annotated[Days | None, Field(description="what programs printed")] = None
    output_bytes: Annotated[Limit | None, Field(description="of it the newest, so many bytes")] = None
    files_days: Annotated[Days | None, Field(description="output files of jobs")] = None
    files_bytes: Annotated[Limit | None, Field(description="of them the newest, so many bytes")] = None


class DemandsBody(Body):
    """What a project demands of all its jobs; null demands nothing."""

    isolation: Annotated[
        Literal["account", "namespaces", "users"] | None,
        Field(description="the least isolation of the nodes that its jobs go to; a constraint of each"),
    ] = None
    registries: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[a-z0-9][A-Za-z0-9._:/-]*[A-Za-z0-9]$")]]
        | None,
        Field(max_length=100, description="registries, with a path or without, that images may come from"),
    ] = None


class ProjectsQuery(OrderedQuery):
    """A list of projects. Repeat `name` for alternatives."""

    name: list[str] = []
    is_paused: QueryBool | None = None


class ProjectBody(Body):
    """A new project."""

    name: Word
    title: Title = ""
    weight: Weight = 1.0
    quota: QuotaBody = QuotaBody()
    retention: RetentionBody = RetentionBody()
    demands: DemandsBody = DemandsBody()
    secret_types: SecretTypes = []


class ProjectChange(ChangeBody):
    """Changes to a project; a field that is left out stays as it is, within the quota too. Ending a pause clears its reason."""

    title: Title = LEFT_OUT
    weight: Weight = LEFT_OUT
    quota: QuotaBody = LEFT_OUT
    retention: RetentionBody = LEFT_OUT
    demands: DemandsBody = LEFT_OUT
    is_paused: Annotated[bool, Field(description="a paused project's jobs are accepted and wait")] = LEFT_OUT
    pause_reason: Reason | None = None
    secret_types: SecretTypes = LEFT_OUT


class QuotaView(TypedDict):
    """A project's limits; null is none."""

    queued_jobs: int | None
    jobs: int | None
    cpus: float | None
    mem: float | None


class RetentionView(TypedDict):
    """What a project keeps: its own limits, else the installation's; 0 is for ever."""

    completed_days: int
    failed_days: int
    canceled_days: int
    jobs: int
    output_days: int
    output_bytes: int
    files_days: int
    files_bytes: int


class DemandsView(TypedDict):
    """What a project demands; null is nothing."""

    isolation: str | None
    registries: list[str] | None


class SecretBody(Body):
    """A secret: a text that jobs of the project get as a file when they name it."""

    name: Word
    value: Annotated[str, Field(min_length=1, max_length=65_536)]


class SecretView(TypedDict):
    """A secret, without its value."""

    name: str
    created: datetime
    last_modified: datetime


class SecretNames(ListOf):
    """A page of a project's secrets, by name."""

    results: list[SecretView]


class ProjectView(TypedDict):
    """A project. `uuid` and `organization` are its names in the block model and compute API. `usage` is its decayed share of the machines, 0 to 1.

    `lag_s` is what the others owe it, in seconds of all machines together; below 0 it has had more than they.
    """

    id: int
    uuid: UUID
    organization: UUID
    name: str
    title: str
    weight: float
    quota: QuotaView
    retention: RetentionView
    demands: DemandsView
    is_paused: bool
    pause_reason: str | None
    secret_types: list[str]
    usage: float
    lag_s: float
    created: datetime
    last_modified: datetime


class ProjectList(ListOf):
    """A page of projects."""

    results: list[ProjectView]
