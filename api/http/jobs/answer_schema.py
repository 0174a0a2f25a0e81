"""What answers about jobs look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.http.executions.answer_schema import ExecutionEntry
from api.http.files.schema import FileView
from api.http.jobs.explain_schema import SubmitWarning
from api.http.named_errors.schema import ErrorView
from api.http.schema.answers import ListOf, NodeInShort, Reference, TypeInShort
from api.http.schema.fields import Uuid


class JobTypeOfJob(TypeInShort):
    """A job type as jobs show it."""

    title: str
    description: str
    category: str | None
    author_name: str | None
    author_url: str | None
    is_system: bool
    is_long_running: bool
    is_active: bool
    is_operational: bool
    is_paused: bool
    icon_code: str | None


class RevisionInShort(TypedDict):
    """The revision a job was made with and keeps."""

    id: int
    job_type: Reference
    revision_num: int


class JobEntry(TypedDict):
    """A job as lists show it."""

    id: int
    uuid: Uuid
    name: str | None
    project: str
    job_type: JobTypeOfJob
    job_type_rev: RevisionInShort
    event: dict[str, Any]
    node: NodeInShort | None
    error: ErrorView | None
    status: str
    priority: int
    num_exes: Annotated[int, Field(description="tries: placements of which a node claimed something")]
    attempt: Annotated[int, Field(description="placements so far")]
    count: Annotated[int, Field(description="members, each an execution of every attempt")]
    together: Annotated[bool, Field(description="it has several members, which are placed wholly or not at all")]
    timeout: int | None
    max_tries: int
    cpus_required: float
    mem_required: float
    disk_in_required: float
    disk_out_required: float
    resources: dict[str, float]
    pool: str | None
    labels: dict[str, str]
    workflow_id: int | None
    is_held: bool
    hold_reason: str | None
    percent: float | None
    note: str | None
    not_before: datetime | None
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    last_status_change: datetime
    last_modified: datetime


class NamedValue(TypedDict):
    """An input or output of a job with its value: JSON, a file, files, or null when there is none."""

    name: str
    type: str
    required: bool
    value: Any


class JobDetail(JobEntry):
    """A job in full."""

    command: list[str]
    environment: dict[str, str]
    pre_timeout: int | None
    post_timeout: int | None
    runner: str
    options: dict[str, Any]
    max_processes: int | None
    max_open_files: int | None
    grace: int | None
    on_oom: dict[str, Any] | None
    secrets: list[str]
    preferences: list[dict[str, Any]]
    apart: str | None
    spread: str | None
    preemptible: bool
    constraints: list[dict[str, Any]]
    created_by: str | None
    round: int
    message: str | None
    data: dict[str, Any]
    results: dict[str, Any]
    inputs: list[NamedValue]
    outputs: list[NamedValue]
    recipes: list[dict[str, Any]]
    job_exes: list[ExecutionEntry]


class SubmittedJob(JobDetail):
    """A job that was just made, and what looks like a mistake."""

    warnings: NotRequired[
        Annotated[list[SubmitWarning], Field(default=[], description="left out where there are none")]
    ]


class JobWithFiles(JobEntry):
    """A job with the files it was given."""

    input_files: list[FileView]


class JobWithLatest(JobEntry):
    """A job with its newest execution."""

    latest_job_exe: ExecutionEntry | None


class JobList(ListOf):
    """A page of jobs."""

    results: list[JobEntry]


class JobUpdates(ListOf):
    """A page of jobs with files."""

    results: list[JobWithFiles]


class JobExecutions(ListOf):
    """A page of jobs with executions."""

    results: list[JobWithLatest]


_EventFields = TypedDict(
    "_EventFields",
    {
        "id": int,
        "at": datetime,
        "event": str,
        "from": str | None,
        "to": str,
        "attempt": int,
        "actor": str,
        "reason": str | None,
    },
)


class EventView(_EventFields):
    """One change of a job's status."""


class EventList(ListOf):
    """A job's changes of status, oldest first."""

    results: list[EventView]
