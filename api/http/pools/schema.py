"""Requests and answers about pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict

from api.http.schema.answers import ListOf
from api.http.schema.fields import (
    LEFT_OUT,
    NO_PLAIN,
    Amount,
    Body,
    Cpus,
    Reason,
    Title,
    Word,
    custom_only,
)

MOST_NODES = 100_000
Size = Annotated[int, Field(ge=0, le=MOST_NODES)]
Seconds = Annotated[float, Field(gt=0, le=366 * 24 * 3600)]
Patience = Annotated[float, Field(ge=0, le=366 * 24 * 3600)]
Labels = Annotated[dict[Word, Title], Field(max_length=64)]

_FIELDS = {"cpus": "the template's cpus", "mem": "the template's mem", "disk": "the template's disk"}


class NodeTemplateBody(Body):
    """The resources of a new node of the pool, in cpus, MiB and pieces."""

    cpus: Cpus
    mem: Amount = 0
    disk: Amount = 0
    resources: Annotated[
        dict[Word, Amount],
        Field(max_length=64, json_schema_extra=NO_PLAIN),
        AfterValidator(lambda given: custom_only(given, _FIELDS)),
    ] = {}


class DriverShareBody(Body):
    """A driver that starts nodes for the pool, and how many it may have; without `max`, any number."""

    driver: Word
    max: Size | None = None


class PoolSettings(Body):
    """How eagerly the pool follows demand, in seconds and nodes; null takes a setting back to its default."""

    target_wait_s: Seconds | None = LEFT_OUT
    start_s: Patience | None = LEFT_OUT
    idle_s: Patience | None = LEFT_OUT
    grow_pause_s: Patience | None = LEFT_OUT
    shrink_pause_s: Patience | None = LEFT_OUT
    grow_step: Annotated[int, Field(ge=1, le=MOST_NODES)] | None = LEFT_OUT
    shrink_step: Annotated[int, Field(ge=1, le=MOST_NODES)] | None = LEFT_OUT
    drain_s: Seconds | None = LEFT_OUT
    packing: Literal["pack", "spread"] | None = LEFT_OUT


class PoolChange(Body):
    """Changes to a pool. `size` fixes its size; `min` and `max` let it follow demand between them."""

    size: Size = LEFT_OUT
    min: Size = LEFT_OUT
    max: Size = LEFT_OUT
    sizing: Literal["free", "fixed", "auto"] = LEFT_OUT
    drivers: Annotated[list[DriverShareBody], Field(max_length=16)] = LEFT_OUT
    template: NodeTemplateBody | None = LEFT_OUT
    labels: Labels = LEFT_OUT
    settings: PoolSettings = LEFT_OUT
    is_paused: bool = LEFT_OUT
    reason: Reason | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if "size" in self.model_fields_set and {"min", "max"} & self.model_fields_set:
            raise ValueError("give either a size, or min and max")
        return self


class PoolBody(PoolChange):
    """A new pool."""

    name: Word


class PoolNodes(TypedDict):
    """Nodes of the pool that are there: all, those that take work, those that finish theirs, those that fell silent."""

    total: int
    ready: int
    draining: int
    silent: int


class PoolDecision(TypedDict):
    """The scheduler's last decision about a pool."""

    wanted: int | None
    present: int | None
    starting: int
    why: str | None
    trouble: str | None
    unmet: int
    hopeless: int
    decided: datetime | None


class _PoolFields(TypedDict):
    name: str
    sizing: str
    size: int
    min: int
    max: int | None
    drivers: Sequence[Mapping[str, object]]
    template: dict[str, float] | None
    labels: dict[str, str]
    settings: Mapping[str, object]
    is_paused: bool
    pause_reason: str | None
    nodes: PoolNodes
    resources: dict[str, dict[str, float]]
    running: int


class PoolView(_PoolFields, PoolDecision):
    """A pool. `wanted` to `unmet` are the scheduler's last decision; null and empty while nobody scales the pool."""

    created: datetime
    last_modified: datetime


class PoolList(ListOf):
    """A page of pools."""

    results: list[PoolView]


class PoolEvent(TypedDict):
    """Something that happened to a pool."""

    id: int
    at: datetime
    event: str
    actor: str
    reason: str | None
    detail: Mapping[str, object]


class PoolEventList(ListOf):
    """A page of a pool's events, newest first."""

    results: list[PoolEvent]


class PoolWanted(TypedDict):
    """Numbers for a scaler outside: how many nodes there should be, are, and are on their way; jobs that wait for room."""

    wanted: int
    present: int
    starting: int
    unmet: int
