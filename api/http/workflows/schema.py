"""Workflows: requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from api.http.jobs.schema import Labels, StatusWord
from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, Digits, Id, Priority, Query, QueryId, Reason, Title, Uuid, Word
from scheduler.rules.workflow.state import WorkflowState

StateWord = Literal["PENDING", "RUNNING", "FAILED", "CANCELED", "COMPLETED"]
assert set(StateWord.__args__) == set(WorkflowState)  # type: ignore[attr-defined]  # noqa: S101

Address = Annotated[str, StringConstraints(min_length=3, max_length=257)]
"""An input of a job of the workflow: `job.input`."""

_EXAMPLE = "jobs:\n  split: {command: [split, airports.csv]}\n  merge: {command: [merge], needs: [split]}\n"


class WorkflowBody(Body):
    """A workflow to run: its definition as a text (YAML 1.2 or JSON) or as JSON itself, and what is given to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"definition": _EXAMPLE, "labels": {"run": "7"}}]})

    definition: Annotated[
        Annotated[str, StringConstraints(max_length=4_000_000)] | dict[str, Any],
        Field(description="see docs/workflows.md; every error is told at once, of a text by line and column"),
    ]
    name: Annotated[Title, StringConstraints(min_length=1)] = LEFT_OUT
    project: Word = LEFT_OUT
    inputs: Annotated[
        dict[Annotated[str, StringConstraints(max_length=128)], Any],
        Field(description="those of the workflow, by name"),
    ] = LEFT_OUT
    parameters: Annotated[dict[Address, Any], Field(description="inputs of single jobs, by job.input")] = LEFT_OUT
    assets: Annotated[
        dict[Address, Id | list[Id]], Field(description="files for inputs of single jobs, by job.input")
    ] = LEFT_OUT
    labels: Labels = LEFT_OUT
    priority: Priority = LEFT_OUT
    held: bool = False


class ReasonBody(Body):
    """Why, for the others; may be left out."""

    reason: Reason | None = None


class HoldWorkflowBody(ReasonBody):
    """Whether the jobs that have not started are held."""

    held: bool


class WorkflowListQuery(OrderedQuery):
    """Which workflows. Repeat a parameter for alternatives; different ones narrow."""

    state: list[StateWord] = Field(default=[], description="where they stand")
    name: list[str] = Field(default=[], description="of these names")
    project: list[str] = Field(default=[], description="of these projects")
    label: list[str] = Field(default=[], description="key:value")
    workflow_id: list[QueryId] = Field(default=[], description="these")


class WorkflowJobsQuery(Query):
    """Which of a workflow's jobs, and which part of them, by their ids. Repeat a parameter for alternatives."""

    job: list[Annotated[str, StringConstraints(max_length=128)]] = Field(default=[], description="of these names")
    status: list[StatusWord] = Field(default=[], description="that stand so")

    after: QueryId = Field(default=0, description="jobs with larger ids than this one")
    limit: Annotated[int, Field(ge=1, le=10_000, description="most jobs of one answer"), Digits] = 1_000


class WorkflowCountsView(TypedDict):
    """How many jobs stand where. `live` have not ended, `excused` failed and may."""

    total: int
    live: int
    started: int
    completed: int
    failed: int
    blocked: int
    canceled: int
    skipped: int
    excused: int


class WorkflowInList(TypedDict):
    """A workflow as lists show it."""

    id: int
    uuid: Uuid
    name: str | None
    project: str
    state: StateWord
    will_fail: Annotated[bool, Field(description="it still runs, and cannot end well unless somebody repairs it")]
    percent: Annotated[float, Field(description="of its jobs that have ended")]
    counts: WorkflowCountsView
    on_failure: str
    timeout: int | None
    is_held: bool
    labels: dict[str, str]
    created_by: str | None
    canceled: datetime | None
    canceled_by: str | None
    cancel_reason: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    last_modified: datetime


class CulpritView(TypedDict):
    """The first job that failed, and why."""

    job_id: int
    job: str
    error: str | None
    message: str | None


class WorkflowView(WorkflowInList):
    """A workflow in full."""

    definition: Annotated[str, Field(description="as it was when it was run")]
    inputs: dict[str, Any]
    outputs: Annotated[dict[str, Any], Field(description="which output of which job each of its own is")]
    culprit: CulpritView | None


class WorkflowList(ListOf):
    """A page of workflows."""

    results: list[WorkflowInList]


class WorkflowJobView(TypedDict):
    """A job of a workflow, by the name that it has there."""

    job_id: int
    job: str
    member: Annotated[int | None, Field(description="its number among the jobs that for_each made")]
    type: str
    status: str
    is_skipped: bool
    allow_failure: bool
    is_finally: bool
    error: str | None
    message: str | None
    started: datetime | None
    ended: datetime | None


class WorkflowJobs(TypedDict):
    """Jobs of a workflow by their ids; `next_after` leads to the rest, null after the last."""

    results: list[WorkflowJobView]
    next_after: int | None


class BoxView(TypedDict):
    """A box of the drawing: a job, all that for_each makes of one, or a whole level of a large workflow."""

    name: str
    jobs: Annotated[list[str], Field(description="the first hundred names that it stands for")]
    job_id: Annotated[
        int | None, Field(description="the first of its jobs that failed, else the first; null where none was made")
    ]
    started: Annotated[datetime | None, Field(description="the first start of its jobs")]
    ended: Annotated[datetime | None, Field(description="the last end, once all of them have ended")]
    level: int
    x: int
    y: int
    counts: Annotated[dict[str, int], Field(description="how many jobs stand where; SKIPPED are told from CANCELED")]


class ArrowView(TypedDict):
    """From a box to one that needs it."""

    source: str
    target: str


class GraphView(TypedDict):
    """A workflow as a drawing: at most 500 boxes, in the units of their own size (`box_width`, `box_height`)."""

    width: int
    height: int
    box_width: int
    box_height: int
    boxes: list[BoxView]
    arrows: list[ArrowView]


class CheckedView(TypedDict):
    """A definition that can run: how many jobs it means, in which order, and its drawing."""

    jobs: int
    order: Annotated[list[str], Field(description="parents first")]
    graph: GraphView
