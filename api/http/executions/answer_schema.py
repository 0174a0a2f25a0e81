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


class ExecutionList(ListOf):
    """A page of executions."""

    results: list[ExecutionEntry]
