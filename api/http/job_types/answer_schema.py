"""Answers about job types."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from api.http.jobs.answer_schema import JobTypeOfJob
from api.http.jobs.program_schema import ProgramView
from api.http.schema.answers import ListOf, Reference
from api.http.schema.job_documents import InterfaceView


class ErrorMappingView(TypedDict):
    """Which error an exit code of the program means."""

    version: str
    exit_codes: dict[str, str]


class _PhaseCommands(TypedDict):
    command: list[str]
    shell: bool
    pre_command: list[str] | None
    post_command: list[str] | None
    cleanup_command: list[str] | None
    environment: dict[str, str]


class _Requirements(TypedDict):
    interface: InterfaceView
    error_mapping: ErrorMappingView
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


class DefinitionView(_PhaseCommands, ProgramView, _Requirements):
    """The content of a revision."""


class JobTypeDetail(DefinitionView, JobTypeOfJob):
    """A job type with its current revision; `project` owns it, null is the installation."""

    project: str | None
    pause_reason: str | None
    max_scheduled: int | None
    uses_docker: bool
    docker_privileged: bool
    docker_image: str | None
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


class CheckAnswer(TypedDict):
    """The findings of a dry run."""

    is_valid: bool
    errors: list[CheckFinding]
    warnings: list[CheckFinding]


class StatusCount(TypedDict):
    """How many jobs have one status."""

    status: str
    count: int
    most_recent: datetime
    category: str | None


class TypeStatus(TypedDict):
    """The jobs of a type by status."""

    job_type: JobTypeOfJob
    job_counts: list[StatusCount]


class TypeStatusList(ListOf):
    """Every type with its counts. With very many jobs, those that do not run are counted from `counted_since` on; else it is null."""

    results: list[TypeStatus]
    counted_since: datetime | None


class TypeRunning(TypedDict):
    """How many jobs of a type run."""

    job_type: JobTypeOfJob
    count: int
    longest_running: datetime | None


class TypeRunningList(ListOf):
    """Types that have running jobs."""

    results: list[TypeRunning]
