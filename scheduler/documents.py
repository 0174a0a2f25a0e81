"""JSON as Python has it, and the documents that we write and read ourselves, by their keys."""

from __future__ import annotations

from typing import Required, TypeAlias, TypedDict

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""Any JSON value."""

Document: TypeAlias = dict[str, JsonValue]
"""A JSON object whose keys are checked where it is read, such as a job type's definition."""


class ConstraintDocument(TypedDict, total=False):
    """A condition on one label of a node; only preferences have a `weight`."""

    label: Required[str]
    op: Required[str]
    value: str | list[str]
    weight: float


class ShapeOptions(TypedDict, total=False):
    """The other fields of a shape, besides amounts, pool and constraints; durations are seconds."""

    timeout_s: int | None
    preferences: list[ConstraintDocument]
    count: int
    apart: str
    spread: str
    preemptible: bool
    serial: int


class DemandsDocument(TypedDict, total=False):
    """What a project demands: the least isolation of a node, and the registries that images may come from."""

    isolation: str
    registries: list[str]


class QuotaDocument(TypedDict, total=False):
    """The limits of a project: amounts in thousandths, jobs at a time, and waiting jobs."""

    cpus: int
    mem: int
    jobs: int
    queued_jobs: int


class RetentionDocument(TypedDict, total=False):
    """What a project keeps, where that is not what the installation keeps: days since the last change, counts, bytes; 0 is for ever."""

    completed_days: int
    failed_days: int
    canceled_days: int
    jobs: int
    output_days: int
    output_bytes: int
    files_days: int
    files_bytes: int


class PoolSettingsDocument(TypedDict, total=False):
    """How a pool is filled and how eagerly it follows demand; durations in seconds, steps in nodes (None: no limit)."""

    packing: str
    drain_s: float
    target_wait_s: float
    start_s: float
    idle_s: float
    grow_pause_s: float
    shrink_pause_s: float
    grow_step: int | None
    shrink_step: int | None


class DataEntry(TypedDict, total=False):
    """One input or output of a job by name: a value, one file, or several; `workspace_id` is where an output goes."""

    name: Required[str]
    value: JsonValue
    file_id: int
    file_ids: list[int]
    workspace_id: int


class JobDataDocument(TypedDict, total=False):
    """The data of a job: its inputs and the places of its outputs."""

    version: str
    input_data: list[DataEntry]
    output_data: list[DataEntry]


class JobResults(TypedDict, total=False):
    """The results of an attempt: its published outputs, and the properties that its program reported."""

    version: str
    output_data: list[DataEntry]
    properties: Document
