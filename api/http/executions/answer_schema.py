"""Answers about executions and their output."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.http.named_errors.schema import ErrorView
from api.http.schema.answers import ListOf, NodeInShort, Reference, TypeInShort
from api.http.schema.fields import Uuid
from api.http.schema.job_documents import ResultsView
from scheduler.rules.lifecycle.outcome import StopReason


class ExecutionEntry(TypedDict):
    """One try of a job on a node."""

    id: int
    uuid: Uuid
    attempt: int
    member: Annotated[int, Field(description="number in its gang, from 0; 0 for a job of one")]
    status: str
    command_arguments: Annotated[str, Field(description="as run, with values filled in, once the program has begun")]
    timeout: int | None
    pre_started: datetime | None
    pre_completed: datetime | None
    pre_exit_code: int | None
    job_started: datetime | None
    job_completed: datetime | None
    job_exit_code: int | None
    post_started: datetime | None
    post_completed: datetime | None
    post_exit_code: int | None
    cancel_requested: Annotated[
        StopReason | None,
        Field(
            description="canceled, preempted (given back for others), or gang (another member of its gang has ended)"
        ),
    ]
    message: str | None
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    last_modified: datetime
    released: Annotated[
        datetime | None,
        Field(description="since when nothing of it runs and its room is free: told after its last process was dead"),
    ]
    output_purged: Annotated[datetime | None, Field(description="since when what it printed is kept no longer")]
    job: Reference
    job_type: TypeInShort
    node: NodeInShort
    error: ErrorView | None
    usage: Annotated[
        Mapping[str, Mapping[str, float]],
        Field(description="by phase: seconds, cpu_s, peak_mem_mib, peak_disk_mib, read_bytes, written_bytes, signal"),
    ]


class ExecutionDetail(ExecutionEntry):
    """A try in full."""

    command: list[str]
    environment: dict[str, str]
    cpus_scheduled: float
    mem_scheduled: float
    disk_scheduled: float
    resources: dict[str, float]
    results: ResultsView
    why: str | None


class UsageAmounts(TypedDict):
    """Cpus, and MiB of memory and disk; null is not known, or nothing was asked for."""

    cpus: float | None
    mem: float | None
    disk: float | None


class UsagePointView(UsageAmounts):
    """What was used at a moment: cpus on average since the point before, memory with cached files as its limit counts it, and disk."""

    time: datetime
    seconds: Annotated[float, Field(description="since the execution's start")]


class UsageView(TypedDict):
    """What an execution used while it ran, beside what it asked for, which its node holds it to as far as it can."""

    execution_id: int
    attempt: int
    member: int
    asked: UsageAmounts
    peak: Annotated[UsageAmounts, Field(description="of all points, and of what was measured when its phases ended")]
    every: Annotated[
        float,
        Field(
            description="seconds that one point stands for: at first 10, doubled as often as there would be more than 500"
        ),
    ]
    points: list[UsagePointView]
    message: Annotated[str | None, Field(description="why there are no points, where there are none")]


class ExecutionList(ListOf):
    """A page of executions."""

    results: list[ExecutionEntry]
