"""Workflows: requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from api.http.jobs.schema import Labels, StatusWord
from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, Digits, Id, Priority, Query, QueryId, Reason, Title, Uuid, Word
from api.http.workflow_types.schema import Definition
from scheduler.rules.workflow.state import WorkflowState

StateWord = Literal["PENDING", "RUNNING", "FAILED", "CANCELED", "COMPLETED"]
assert set(StateWord.__args__) == set(WorkflowState)  # type: ignore[attr-defined]  # noqa: S101

Address = Annotated[str, StringConstraints(min_length=3, max_length=257)]
"""An input of a job of the workflow: `job.input`."""

_EXAMPLE = "jobs:\n  split: {command: [split, airports.csv]}\n  merge: {command: [merge], needs: [split]}\n"


TypeAndRevision = Annotated[str, StringConstraints(min_length=1, max_length=140, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]{1,9})?$")]  # fmt: skip


class GivenFields(Body):
    """What is given to a run."""

    inputs: Annotated[
        dict[Annotated[str, StringConstraints(max_length=128)], Any],
        Field(description="those of the workflow, by name"),
    ] = LEFT_OUT
    parameters: Annotated[dict[Address, Any], Field(description="inputs of single jobs, by job.input")] = LEFT_OUT
    assets: Annotated[
        dict[Address, Id | list[Id]], Field(description="files for inputs of single jobs, by job.input")
    ] = LEFT_OUT
    name: Annotated[Title, StringConstraints(min_length=1)] = LEFT_OUT
    labels: Labels = LEFT_OUT


class WorkflowBody(GivenFields):
    """A workflow to run, and what is given to it: a definition as a text (YAML 1.2, JSON, JSON lines) or as JSON itself, or the name of a saved one."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["definition"]}, {"required": ["type"]}],
            "examples": [{"definition": _EXAMPLE, "labels": {"run": "7"}}, {"type": "airports:2"}],
        }
    )

    definition: Definition = LEFT_OUT
    type: Annotated[
        TypeAndRevision, Field(description="a saved definition: its name, or name:2 for one of its revisions")
    ] = LEFT_OUT
    project: Word = LEFT_OUT
    priority: Priority = LEFT_OUT
    held: bool = False
    parent_job_id: Annotated[Id, Field(description="the job that runs it, and with which it is cancelled")] = LEFT_OUT

    @model_validator(mode="after")
    def _one_of_both(self) -> WorkflowBody:
        if (self.definition is None) == (self.type is None):
            raise ValueError("give either a definition, or the type of a saved one")
        return self


class RerunBody(GivenFields):
    """From which jobs on a run is made anew, and what is given to it otherwise than the first time."""

    model_config = ConfigDict(
        populate_by_name=False, json_schema_extra={"examples": [{"from": ["merge"], "parameters": {"merge.limit": 10}}]}
    )

    steps: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=128)]],
        Field(alias="from", min_length=1, max_length=5_000, description="what comes before these jobs is borrowed"),
    ]
    revision: Annotated[int, Field(ge=1, le=2**31 - 1, description="of its saved definition, instead of its own")] = (
        LEFT_OUT
    )


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
    type: Annotated[str | None, Field(description="the saved definition that it was run from")]
    revision: Annotated[int | None, Field(description="of that: it stays, whatever is saved later")]
    rerun_of: Annotated[int | None, Field(description="the run whose results it borrows")]
    parent_job_id: Annotated[int | None, Field(description="the job that runs it, and with which it is cancelled")]
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
    borrowed: Annotated[list[str], Field(description="jobs that an earlier run has done, and that it has none of")]
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
    superseded_by: Annotated[int | None, Field(description="the fresh copy that has taken its place at a restart")]
    reused_from: Annotated[int | None, Field(description="the job whose results it has, without having run")]
    error: str | None
    message: str | None
    started: datetime | None
    ended: datetime | None


class WorkflowJobs(TypedDict):
    """Jobs of a workflow by their ids; `next_after` leads to the rest, null after the last."""

    results: list[WorkflowJobView]
    next_after: int | None


class WorkflowEventView(TypedDict):
    """What happened to a workflow as a whole; `state` is that in which it ended."""

    event: Literal["RUN", "CANCEL", "RESTART", "HOLD", "RELEASE", "GO_ON", "END"]
    state: StateWord | None
    actor: str | None
    reason: str | None
    at: datetime


class WorkflowEventList(ListOf):
    """A page of events of a workflow, the oldest first."""

    results: list[WorkflowEventView]


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
