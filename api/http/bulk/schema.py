"""Requests and answers of bulk actions: the filters of the list of jobs, each a value or a list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, field_validator
from typing_extensions import TypedDict

from api.http.jobs.schema import StatusWord
from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import MAX_ID, Body, Bound, Id, Priority, Reason
from api.http.schema.words import CategoryWord

T = TypeVar("T")


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


Many = Annotated[list[T], BeforeValidator(_listed), Field(max_length=10_000)]
Text = Annotated[str, StringConstraints(max_length=256)]
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_IDS = {"anyOf": [_ID, {"type": "array", "items": _ID, "maxItems": 10_000}]}

Texts = Annotated[Many[Text], WithJsonSchema(_TEXTS)]
_LABEL = {"type": "string", "pattern": ":"}
LabelTexts = Annotated[Many[Text], WithJsonSchema({"anyOf": [_LABEL, {"type": "array", "items": _LABEL}]})]
Ids = Annotated[Many[Id], WithJsonSchema(_IDS)]


def _words(words: tuple[str, ...]) -> WithJsonSchema:
    one = {"type": "string", "enum": list(words)}
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": one}]})


OperationKind = Literal["cancel", "requeue", "hold", "release", "pin", "unpin"]
OperationStatus = Literal["RUNNING", "COMPLETED", "FAILED"]


class BulkFilter(Body):
    """Which jobs; what is left out does not narrow. Times are of `last_modified`."""

    started: Bound | None = None
    ended: Bound | None = None
    status: Annotated[Many[StatusWord], _words(StatusWord.__args__)] = []
    job_id: Ids = []
    job_type_id: Ids = []
    job_type_name: Texts = []
    job_type_category: Texts = []
    error_id: Ids = []
    error_category: Annotated[Many[CategoryWord], _words(CategoryWord.__args__)] = []
    node: Texts = []
    pool: Texts = []
    label: LabelTexts = []
    job_name: Texts = []
    workflow_id: Ids = []
    project: Texts = []
    error_name: Texts = []
    is_held: bool | None = None
    text: Texts = []
    created_after: Bound | None = None
    created_before: Bound | None = None
    changed_by: Ids = []
    not_status: Annotated[Many[StatusWord], _words(StatusWord.__args__)] = []
    not_job_id: Ids = []
    not_job_type_id: Ids = []
    not_job_type_name: Texts = []
    not_job_type_category: Texts = []
    not_error_id: Ids = []
    not_error_category: Annotated[Many[CategoryWord], _words(CategoryWord.__args__)] = []
    not_error_name: Texts = []
    not_node: Texts = []
    not_pool: Texts = []
    not_label: LabelTexts = []
    not_job_name: Texts = []
    not_workflow_id: Ids = []
    not_project: Texts = []

    @field_validator("label", "not_label")
    @classmethod
    def _labels_have_values(cls, value: list[str]) -> list[str]:
        if any(":" not in label for label in value):
            raise ValueError("a label is written key:value")
        return value


class BulkBody(BulkFilter):
    """An action on the jobs that match. `dry_run` only counts them; an empty filter needs `all: true`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "QUEUED", "label": "run:7", "dry_run": True}]})

    dry_run: bool = False
    all: bool = False
    reason: Reason | None = None


class RequeueBody(BulkBody):
    """Which jobs start a new round; a `priority` stays with them."""

    priority: Priority | None = None


class OperationsQuery(OrderedQuery):
    """Which operations. Repeat a parameter for alternatives."""

    kind: list[OperationKind] = []
    status: list[OperationStatus] = []
    created_by: list[str] = []


class GroupInCount(TypedDict):
    """How many of the jobs that match have one value."""

    value: str | None
    count: int
    count_exact: Annotated[bool, Field(description="false: of the first 10,000 that match")]


class SampleInCount(TypedDict):
    """One of the jobs that match."""

    id: int
    name: str | None
    status: str
    job_type: str
    project: str


class Count(TypedDict):
    """How many jobs a filter matches; above 10,000 an estimate. Then what they are: the largest groups, and the first of them."""

    count: int
    by_status: list[GroupInCount]
    by_job_type: list[GroupInCount]
    by_project: list[GroupInCount]
    others: Annotated[int, Field(description="of the first 10,000, those that another token submitted")]
    samples: list[SampleInCount]


class OperationView(TypedDict):
    """How far a bulk action has come."""

    id: int
    kind: OperationKind
    status: OperationStatus
    filters: Mapping[str, object]
    matched: Annotated[int, Field(description="jobs to look at; an estimate while it runs")]
    done: int
    skipped: Annotated[int, Field(description="jobs that matched and were left as they are")]
    message: str | None
    created: datetime
    ended: datetime | None
    created_by: str
    reason: str | None


class ProcessesView(TypedDict):
    """What became of the processes of the jobs that a bulk action cancelled."""

    told: Annotated[int, Field(description="executions that were told to stop")]
    dead: Annotated[int, Field(description="of which nothing runs any more, and whose room is free")]
    left: Annotated[int, Field(description="that are being stopped, or whose node is silent")]
    last: Annotated[datetime | None, Field(description="when the last of those was dead")]


class OperationList(ListOf):
    """A page of operations, the newest first."""

    results: list[OperationView]
