"""What answers about job types look like, for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from api.http.jobs.answer_schema import JobTypeOfJob
from api.http.schema.answers import ListOf, Reference


class DefinitionView(TypedDict):
    """What a revision says."""

    command: list[str]
    shell: bool
    pre_command: list[str] | None
    post_command: list[str] | None
    cleanup_command: list[str] | None
    environment: dict[str, str]
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
    interface: dict[str, Any]
    error_mapping: dict[str, Any]
    priority: int
    timeout: int | None
    pre_timeout: int | None
    post_timeout: int | None
    max_tries: int
    cpus_required: float
    mem_required: float
    mem_mult_required: float
    disk_out_const_required: float
    disk_out_mult_required: float
    resources: dict[str, float]


class JobTypeDetail(DefinitionView, JobTypeOfJob):
    """A job type with its current revision."""

    pause_reason: str | None
    max_scheduled: int | None
    revision_num: int
    created: datetime
    archived: datetime | None
    paused: datetime | None
    last_modified: datetime


class Revision(DefinitionView):
    """A revision of a job type."""

    id: int
    job_type: Reference
    revision_num: int
    created: datetime


class JobTypeList(ListOf):
    """A page of job types."""

    results: list[JobTypeDetail]


class RevisionList(ListOf):
    """A page of revisions."""

    results: list[Revision]


class CheckFinding(TypedDict):
    """Something a check found; `name` is the field."""

    name: str
    description: str


class Validation(TypedDict):
    """What a dry run found."""

    is_valid: bool
    errors: list[CheckFinding]
    warnings: list[CheckFinding]


class StatusCount(TypedDict):
    """How many jobs stand so."""

    status: str
    count: int
    most_recent: datetime
    category: str | None


class TypeStatus(TypedDict):
    """Where the jobs of a type stand."""

    job_type: JobTypeOfJob
    job_counts: list[StatusCount]


class TypeStatusList(ListOf):
    """Every type with its counts."""

    results: list[TypeStatus]


class TypeRunning(TypedDict):
    """How many jobs of a type run."""

    job_type: JobTypeOfJob
    count: int
    longest_running: datetime | None


class TypeRunningList(ListOf):
    """Types that have running jobs."""

    results: list[TypeRunning]
