"""Requests about jobs: new jobs, filters of lists, cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StringConstraints,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from api.http.files.schema import FileName, MediaType, Sha256
from api.http.jobs.needs_schema import JobKey, NeedsList
from api.http.jobs.placement_schema import ConstraintBody, LabelKey, LabelValue
from api.http.jobs.program_schema import ProgramFields
from api.http.paging import OrderedQuery
from api.http.schema import times
from api.http.schema.fields import (
    LEFT_OUT,
    MAX_ID,
    NO_PLAIN,
    Amount,
    Body,
    Bound,
    ChangeBody,
    Cpus,
    Digits,
    DocumentBody,
    Id,
    Moment,
    Priority,
    Query,
    QueryBool,
    QueryId,
    Reason,
    Timeout,
    Title,
    Tries,
    Word,
    custom_only,
)
from api.http.schema.words import CategoryWord
from scheduler.documents import Document
from scheduler.explain.dry_run import MOST as MOST_TRIED
from scheduler.identifiers import JobTypeId
from scheduler.rules.job_type.awaited import MOST_AWAITED
from scheduler.rules.lifecycle.gangs import MOST_MEMBERS
from scheduler.rules.lifecycle.moves import JobStatus

StatusWord = Literal["PENDING_UPLOAD", "PENDING", "BLOCKED", "QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELED"]
assert set(StatusWord.__args__) == set(JobStatus)  # type: ignore[attr-defined]  # noqa: S101

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""Of an input or output."""

_WITHOUT_NUL = r"^[^\u0000]*$"
Argument = Annotated[str, StringConstraints(max_length=32_768, pattern=_WITHOUT_NUL)]
_PROGRAM = {"type": "string", "minLength": 1, "maxLength": 32_768, "pattern": _WITHOUT_NUL}
Command = Annotated[
    list[Argument], Field(min_length=1, max_length=1_000, json_schema_extra={"prefixItems": [_PROGRAM]})
]
Environment = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")], Argument], Field(max_length=500)
]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
_FIELDS = {"cpus": "cpus_required", "mem": "mem_required", "disk": "disk_out_required"}
Custom = Annotated[
    dict[Word, Amount],
    Field(max_length=32, json_schema_extra=NO_PLAIN),
    AfterValidator(lambda given: custom_only(given, _FIELDS)),
]
Key = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
"""An idempotency key: 1 to 128 printable ASCII characters without blanks."""


Members = Annotated[
    int,
    Field(ge=1, le=MOST_MEMBERS, description="so many executions, each of what is asked for, at once: with together"),
]


class JobTypeName(Body):
    """A job type by name; without version its newest active one by the numbers of the version, pre-releases last."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=128)] = LEFT_OUT


class AwaitBody(Body):
    """An input that is uploaded later, and what is asked of it: most bytes, SHA-256, media type. A name alone asks nothing."""

    name: Name
    file_name: FileName = LEFT_OUT
    media_type: MediaType = LEFT_OUT
    max_size: Annotated[int, Field(ge=0, le=MAX_ID, description="most bytes")] = LEFT_OUT
    sha256: Sha256 = LEFT_OUT
    optional: Annotated[bool, Field(description="it may be left out when the rest is said to be uploaded")] = False


AwaitItem = Annotated[
    Annotated[Name, Tag("one")] | Annotated[AwaitBody, Tag("many")],
    Discriminator(lambda sent: "one" if isinstance(sent, str) else "many"),
]
"""A name alone, or with what is asked of it; the tags are those that places of faults are told without."""


class InputEntry(Body):
    """One input by name: a value, a file, or files."""

    name: Name
    value: Any = None
    file_id: Id = LEFT_OUT
    file_ids: Annotated[list[Id], Field(max_length=1_000)] = LEFT_OUT


class OutputEntry(Body):
    """Where one output goes; without `workspace_id` to the default workspace."""

    name: Name
    workspace_id: Id = LEFT_OUT


class JobData(DocumentBody):
    """The documented Job Data form."""

    version: Literal["1.0"] = "1.0"
    input_data: Annotated[list[InputEntry], Field(max_length=1_000)] = []
    output_data: Annotated[list[OutputEntry], Field(max_length=1_000)] = []

    def document(self) -> Document:
        """Return what is stored."""
        return self.model_dump(exclude_unset=True)


class JobBody(ProgramFields):
    """A new job: of a type, or with a command of its own. What is left out comes from its type; amounts are cpus, MiB, MiB and pieces."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in ("job_type", "job_type_id", "command")],
            "examples": [
                {"command": ["echo", "hello"], "cpus_required": 0.5, "mem_required": 256, "labels": {"run": "7"}},
                {"job_type": {"name": "kml-footprint"}, "inputs": {"places": 12}, "timeout": 600, "priority": 50},
            ],
        }
    )

    job_type: JobTypeName = LEFT_OUT
    job_type_id: Annotated[JobTypeId, Field(ge=1, le=MAX_ID)] = LEFT_OUT
    command: Command = LEFT_OUT
    data: JobData = LEFT_OUT
    inputs: Annotated[
        dict[Name, Any],
        Field(
            max_length=1_000,
            description='by name: a value, or ids of files; or {"from": {"job": 41, "output": "n"}} for an output of what it needs, with "default"',
        ),
    ] = LEFT_OUT
    name: Annotated[Title, StringConstraints(min_length=1)] = LEFT_OUT
    project: Word = LEFT_OUT
    priority: Priority = LEFT_OUT
    timeout: Timeout = LEFT_OUT
    pre_timeout: Timeout = LEFT_OUT
    post_timeout: Timeout = LEFT_OUT
    max_tries: Tries = LEFT_OUT
    cpus_required: Cpus = LEFT_OUT
    mem_required: Amount = LEFT_OUT
    disk_out_required: Amount = LEFT_OUT
    resources: Custom = LEFT_OUT
    pool: Word = LEFT_OUT
    constraints: Annotated[list[ConstraintBody], Field(max_length=50)] = LEFT_OUT
    environment: Environment = LEFT_OUT
    labels: Labels = LEFT_OUT
    not_before: Moment = LEFT_OUT
    held: bool = False
    hold_reason: Reason = LEFT_OUT
    count: Members = LEFT_OUT
    together: bool = LEFT_OUT
    needs: NeedsList = LEFT_OUT
    needs_within: Annotated[
        Timeout, Field(description="seconds that it waits for its needs at most; then it fails with needs-timeout")
    ] = LEFT_OUT
    key: Annotated[JobKey, Field(description="a name within the batch, for the needs of the others")] = LEFT_OUT
    group: Annotated[Word, Field(description="the jobs of a batch with the same word are a group")] = LEFT_OUT
    parent_job_id: Annotated[Id, Field(description="the job that submits it, and with which it is cancelled")] = (
        LEFT_OUT
    )
    awaits: Annotated[
        list[AwaitItem],
        Field(min_length=1, max_length=MOST_AWAITED, description="inputs that are uploaded before the job is queued"),
    ] = LEFT_OUT
    idempotency_key: Key = LEFT_OUT

    @model_validator(mode="after")
    def _one_of_each(self) -> JobBody:
        if self.job_type is not None and self.job_type_id is not None:
            raise ValueError("give either job_type or job_type_id, not both")
        if self.data is not None and self.inputs is not None:
            raise ValueError("give either data or inputs, not both")
        if self.hold_reason is not None and not self.held:
            raise ValueError("a hold_reason is only for a job that is held")
        return self

    @model_validator(mode="after")
    def _members_are_together(self) -> JobBody:
        if self.count is not None and self.count > 1 and not self.together:
            raise ValueError(
                f"a job of {self.count} members needs together: true, which places them all at once or not at all; "
                "for separate jobs send an array of them"
            )
        if self.together and self.count is None:
            raise ValueError("together is for a job of several members; say with count how many")
        return self


def _one_or_many(sent: object) -> str:
    return "many" if isinstance(sent, list) else "one"


class JobsBody(
    RootModel[
        Annotated[
            Annotated[JobBody, Tag("one")]
            | Annotated[list[JobBody], Field(json_schema_extra={"minItems": 1}), Tag("many")],
            Discriminator(_one_or_many),
        ]
    ]
):
    """One job, or an array of jobs: all of them are made, or none."""


class JobChangeBody(ChangeBody):
    """A change of a job: a cancel; or what it needs, as long as it has not been queued."""

    status: Literal["CANCELED"] = LEFT_OUT
    needs: Annotated[
        NeedsList,
        Field(description="takes the place of all needs but those whose outputs it takes; jobs with smaller ids"),
    ] = LEFT_OUT
    reason: Reason | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> JobChangeBody:
        if (self.status is None) == (self.needs is None):
            raise ValueError("give either the status CANCELED, or needs")
        return self


class CancelQuery(Query):
    """What is cancelled with a job."""

    followers: QueryBool = Field(
        default=False, description="also the jobs that wait for this one and for nothing else, and what waits for those"
    )


QueryPriority = Annotated[int, Field(ge=-(2**31), lt=2**31), Digits]
Texts = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=10)]
Label = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[^\\u0000]*:[^\\u0000]*$"})]


class FilterFields(Query):
    """Which jobs. Repeat a parameter for alternatives; different ones narrow. Times are of `last_modified`."""

    started: Bound | None = Field(default=None, description=times.SINCE)
    ended: Bound | None = Field(default=None, description=times.UNTIL)
    status: list[StatusWord] = Field(default=[], description="where the jobs stand")
    job_id: list[QueryId] = Field(default=[], description="these jobs")
    job_type_id: list[QueryId] = Field(default=[], description="of these types")
    job_type_name: list[str] = Field(default=[], description="of types of these names, whatever their version")
    job_type_category: list[str] = Field(default=[], description="of types of these categories")
    error_id: list[QueryId] = Field(default=[], description="that failed with these errors")
    error_category: list[CategoryWord] = Field(default=[], description="that failed with errors of these categories")
    node: list[str] = Field(default=[], description="host name, node name or id")
    pool: list[str] = Field(default=[], description="that ask for these pools, or are or were on their nodes")
    label: list[Label] = Field(default=[], description="key:value")
    job_name: list[str] = Field(default=[], description="the name that was given to the job, whole")
    workflow_id: list[QueryId] = Field(default=[], description="of these workflows")
    project: list[str] = Field(default=[], description="of these projects")
    error_name: list[str] = Field(default=[], description="that failed with errors of these names")
    priority: list[QueryPriority] = Field(default=[], description="of these priorities")
    is_held: QueryBool | None = Field(default=None, description="that are held, or are not")
    text: Texts = Field(default=[], description="whose names have all of these in them, in any case")
    created_after: Bound | None = Field(default=None, description="submitted since then")
    created_before: Bound | None = Field(default=None, description="submitted until then")
    changed_by: list[QueryId] = Field(default=[], description="that these operations changed")
    not_status: list[StatusWord] = Field(default=[], description="not those that stand there")
    not_job_id: list[QueryId] = Field(default=[], description="not these jobs")
    not_job_type_id: list[QueryId] = Field(default=[], description="not of these types")
    not_job_type_name: list[str] = Field(default=[], description="not of types of these names")
    not_job_type_category: list[str] = Field(default=[], description="not of types of these categories")
    not_error_id: list[QueryId] = Field(default=[], description="not those that failed with these errors")
    not_error_category: list[CategoryWord] = Field(default=[], description="not with errors of these categories")
    not_error_name: list[str] = Field(default=[], description="not with errors of these names")
    not_node: list[str] = Field(default=[], description="not on these nodes")
    not_pool: list[str] = Field(default=[], description="not of these pools")
    not_label: list[Label] = Field(default=[], description="not with these labels")
    not_job_name: list[str] = Field(default=[], description="not of these names")
    not_workflow_id: list[QueryId] = Field(default=[], description="not of these workflows")
    not_project: list[str] = Field(default=[], description="not of these projects")
    not_priority: list[QueryPriority] = Field(default=[], description="not of these priorities")

    @field_validator("status", "not_status", mode="before")
    @classmethod
    def _known_status(cls, value: object) -> object:
        for word in value if isinstance(value, list) else ():
            if word not in set(JobStatus):
                raise ValueError(f"{str(word)[:40]!r} is not a status; the words are {', '.join(JobStatus)}")
        return value

    @field_validator("label", "not_label")
    @classmethod
    def _labels_have_values(cls, value: list[str]) -> list[str]:
        if any(":" not in label for label in value):
            raise ValueError("a label is written key:value")
        return value


class JobsQuery(FilterFields, OrderedQuery):
    """A list of jobs."""


class JobListQuery(JobsQuery):
    """A list of jobs, or of those that an operation named by their ids."""

    operation_id: QueryId | None = Field(default=None, description="jobs that this operation named, by their ids")


_DRY_RUN = f"make nothing; say what the next tick would do with each of at most {MOST_TRIED} jobs, and what strict would refuse"


class SubmitQuery(Query):
    """How a submission is judged."""

    strict: QueryBool = Field(
        default=False, description="refuse a job that no node could ever hold, or that its project's quota never allows"
    )
    dry_run: QueryBool = Field(default=False, description=_DRY_RUN)


class IdempotencyHeader(Query):
    """The header that makes a repeat of this request harmless."""

    idempotency_key: str | None = Field(default=None, alias="Idempotency-Key", max_length=128)
