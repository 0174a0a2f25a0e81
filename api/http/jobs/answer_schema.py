"""Answers about jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, NotRequired

from pydantic import Field, JsonValue
from typing_extensions import TypedDict

from api.http.executions.answer_schema import ExecutionEntry
from api.http.files.schema import FileView
from api.http.jobs.needs_schema import NeedView
from api.http.jobs.placement_schema import ConstraintView
from api.http.jobs.program_schema import ProgramView
from api.http.jobs.submission_schema import Warnings
from api.http.named_errors.schema import ErrorView
from api.http.schema.answers import ListOf, NodeInShort, Reference, TypeInShort
from api.http.schema.fields import Uuid
from api.http.schema.job_documents import (
    DataView,
    EventInShort,
    EventOfDetail,
    InterfaceWithCommand,
    RecipeView,
    ResultsView,
)
from scheduler.explain.explanation_json import NodeFitView


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


class RevisionOfDetail(RevisionInShort):
    """The revision a job was made with and keeps, with what it declares."""

    interface: InterfaceWithCommand
    created: datetime


class JobTypeOfDetail(JobTypeOfJob):
    """A job type as the detail of a job shows it; limits and requirements are those of the job's own revision."""

    uses_docker: bool
    docker_privileged: bool
    docker_image: str | None
    revision_num: int
    priority: int
    max_scheduled: int | None
    timeout: int | None
    max_tries: int
    cpus_required: float
    mem_required: float
    disk_out_const_required: float
    disk_out_mult_required: float
    created: datetime
    archived: datetime | None
    paused: datetime | None
    last_modified: datetime


class _Named(TypedDict):
    id: int
    uuid: Uuid
    name: str | None
    project: str


class _TypeInList(TypedDict):
    job_type: JobTypeOfJob
    job_type_rev: RevisionInShort
    event: EventInShort


class _TypeInDetail(TypedDict):
    job_type: JobTypeOfDetail
    job_type_rev: RevisionOfDetail
    event: EventOfDetail


class _JobState(TypedDict):
    node: NodeInShort | None
    error: ErrorView | None
    status: str
    priority: int
    num_exes: Annotated[int, Field(description="tries: placements of which a node claimed something")]
    attempt: Annotated[int, Field(description="placements so far")]
    count: Annotated[int, Field(description="members, each an execution of every attempt")]
    together: Annotated[bool, Field(description="it has several members, which are placed wholly or not at all")]
    timeout: int | None
    forgiven: Annotated[int, Field(description="tries that do not count, as they ended through no fault of the job")]
    max_tries: Annotated[int, Field(description="it may be tried while num_exes - forgiven is less")]
    cpus_required: float
    mem_required: float
    disk_in_required: float
    disk_out_required: float
    resources: dict[str, float]
    pool: str | None
    labels: dict[str, str]
    command_line: Annotated[
        str | None, Field(description="a command of the job's own, in one line of at most 200 characters")
    ]
    message: Annotated[
        str | None, Field(description="more of why it ended: the words of its last try, or of whoever ended it")
    ]
    workflow_id: int | None
    is_skipped: Annotated[bool, Field(description="CANCELED because it was not needed")]
    is_held: bool
    hold_reason: str | None
    percent: float | None
    note: str | None
    not_before: Annotated[datetime | None, Field(description="the earliest start that was asked for")]
    retry_at: Annotated[datetime | None, Field(description="the back-off after a failed try: not earlier than this")]
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    last_status_change: datetime
    last_modified: datetime


class JobEntry(_Named, _TypeInList, _JobState):
    """A job as lists show it."""


class NamedValue(TypedDict):
    """An input or output of a job with its value: JSON, a file, files, or null when there is none."""

    name: str
    type: str
    required: bool
    media_types: NotRequired[Annotated[list[str], Field(description="of an input of files; none is any")]]
    media_type: NotRequired[Annotated[str | None, Field(description="of an output")]]
    value: Annotated[
        FileView | list[FileView] | JsonValue, Field(description="JSON, a file, files, or null when there is none")
    ]


class _OwnCommand(TypedDict):
    command: list[str]
    environment: dict[str, str]
    pre_timeout: int | None
    post_timeout: int | None


class AwaitedView(TypedDict):
    """An input that the job awaits, or has awaited: what is asked of it, and what has come."""

    name: str
    file_name: str
    media_type: str | None
    max_size: Annotated[int, Field(description="most bytes")]
    sha256: str | None
    optional: bool
    expires: Annotated[datetime, Field(description="the job fails if nobody has said by then that all is uploaded")]
    size: Annotated[int | None, Field(description="bytes of what has come as a whole; null while nothing has")]
    received: datetime | None
    file_id: Annotated[int | None, Field(description="the file that it has become")]
    upload_url: Annotated[
        str | None,
        Field(
            description="where it is sent to, whole or in blocks, without a token; a fresh address each time, good for a while; "
            "null where the caller may not, or the job takes it no longer"
        ),
    ]


class ReuseView(TypedDict):
    """What became of the reuse of results for a job: whose results it has, or why it ran itself."""

    key: Annotated[str, Field(description="equal for jobs that do the same")]
    reused_from: Annotated[int | None, Field(description="the job whose results it has, without having run")]
    missed: Annotated[str | None, Field(description="why it ran itself")]


class _Course(TypedDict):
    constraints: Sequence[ConstraintView]
    created_by: str | None
    needs: Annotated[list[NeedView], Field(description="the first hundred of what it waits or waited for")]
    needs_within: Annotated[int | None, Field(description="seconds that it waits for its needs at most")]
    group: Annotated[str | None, Field(description="the group that it belongs to")]
    parent_job_id: Annotated[int | None, Field(description="the job that submitted it, and with which it is cancelled")]
    forced_by: Annotated[str | None, Field(description="who said that it is done, though no execution completed")]
    cache: Annotated[ReuseView | None, Field(description="of a job that may reuse results; null until it is looked at")]
    awaits: list[AwaitedView]
    is_pinned: Annotated[bool, Field(description="kept whatever the limits of retention say")]
    round: int
    data: DataView
    results: ResultsView
    inputs: list[NamedValue]
    outputs: list[NamedValue]
    input_files: list[FileView]
    products: Annotated[list[FileView], Field(description="the files of all outputs")]
    recipes: list[RecipeView]
    job_exes: list[ExecutionEntry]


class JobDetail(_Named, _TypeInDetail, _JobState, _OwnCommand, ProgramView, _Course):
    """A job in full."""


class SubmittedJob(JobDetail, Warnings):
    """A job that was just made, and what looks like a mistake."""


class JobWithFiles(JobEntry):
    """A job with the files it was given."""

    input_files: list[FileView]


class JobWithLatest(JobEntry):
    """A job with its newest execution."""

    latest_job_exe: ExecutionEntry | None


class JobList(ListOf):
    """A page of jobs."""

    results: list[JobEntry]


class JobChanges(TypedDict):
    """Jobs that changed, as they are now. `cursor` is where to go on; `more` that there is more at once."""

    cursor: str
    more: bool
    results: list[JobEntry]


class JobUpdates(ListOf):
    """A page of jobs with files."""

    results: list[JobWithFiles]


class JobExecutions(ListOf):
    """A page of jobs with executions."""

    results: list[JobWithLatest]


class NodeFitList(ListOf):
    """Nodes, the nearest first, with why each cannot take the job now; and what a member of the job asks for. Empty for a job that does not wait."""

    asked: dict[str, float]
    results: list[NodeFitView]


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
