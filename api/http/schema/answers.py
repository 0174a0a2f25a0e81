"""What answers look like, for the OpenAPI document. Times are UTC, amounts cpus, MiB or pieces, durations seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.http.jobs.explain_schema import SubmitWarning
from api.http.schema.fields import View


class Problem(View):
    """What is wrong. `kind` is stable, `description` is for people."""

    code: int
    name: str
    description: str
    kind: str
    field: str | None
    request_id: str | None


class ListOf(View):
    """Part of a list. `count` is of all that match; above 10,000 it may be an estimate (`count_exact` false)."""

    count: int
    count_exact: bool
    next: str | None
    previous: str | None


class Reference(View):
    """Something by its id."""

    id: int


class TypeInShort(View):
    """A job type."""

    id: int
    name: str
    version: str


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


class RevisionInShort(View):
    """The revision a job was made with and keeps."""

    id: int
    job_type: Reference
    revision_num: int


class NodeInShort(View):
    """A node."""

    id: int
    name: str
    hostname: str


class ErrorView(View):
    """A named error."""

    id: int
    name: str
    title: str
    description: str
    category: str
    is_builtin: bool
    should_be_retried: bool


class JobEntry(View):
    """A job as lists show it."""

    id: int
    uuid: UUID
    name: str | None
    project: str
    job_type: JobTypeOfJob
    job_type_rev: RevisionInShort
    event: dict[str, Any]
    node: NodeInShort | None
    error: ErrorView | None
    status: str
    priority: int
    num_exes: int = Field(description="tries: placements of which a node claimed something")
    attempt: int = Field(description="placements so far")
    count: int = Field(description="members, each an execution of every attempt")
    together: bool = Field(description="it has several members, which are placed wholly or not at all")
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


class ExecutionEntry(View):
    """One try of a job on a node."""

    id: int
    uuid: UUID
    attempt: int
    member: int = Field(description="number in its gang, from 0; 0 for a job of one")
    status: str
    command_arguments: str
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
    cancel_requested: str | None = Field(
        description="canceled, preempted (given back for others), or gang (another member of its gang has ended)"
    )
    message: str | None
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    last_modified: datetime
    job: Reference
    job_type: TypeInShort
    node: NodeInShort
    error: ErrorView | None
    usage: dict[str, Any] = Field(
        description="by phase: seconds, cpu_s, peak_mem_mib, peak_disk_mib, read_bytes, written_bytes, signal"
    )


class ExecutionDetail(ExecutionEntry):
    """A try in full."""

    command: list[str]
    environment: dict[str, str]
    cpus_scheduled: float
    mem_scheduled: float
    disk_scheduled: float
    resources: dict[str, float]
    results: dict[str, Any]
    why: str | None


class NamedValue(View):
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

    warnings: list[SubmitWarning] = Field(default=[], description="left out where there are none")


class FileView(View):
    """A file."""

    id: int
    uuid: UUID
    project: str
    workspace: dict[str, Any]
    file_name: str
    media_type: str
    file_size: int
    sha256: str
    is_deleted: bool
    is_published: bool
    url: str
    job: Reference | None
    job_exe: Reference | None
    output: str | None
    created: datetime
    deleted: datetime | None
    meta_data: dict[str, Any]
    last_modified: datetime


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


class ExecutionList(ListOf):
    """A page of executions."""

    results: list[ExecutionEntry]


class FileList(ListOf):
    """A page of files."""

    results: list[FileView]


class EventView(View):
    """One change of a job's status."""

    id: int
    at: datetime
    event: str
    from_: str | None = Field(alias="from")
    to: str
    attempt: int
    actor: str
    reason: str | None


class EventList(ListOf):
    """A job's changes of status, oldest first."""

    results: list[EventView]
