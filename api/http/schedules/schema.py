"""Requests and answers about schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from api.http.jobs.schema import JobBody
from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, ChangeBody, Moment, Priority, QueryBool, Reason, Word
from api.http.workflows.schema import GivenFields, TypeAndRevision
from scheduler.schedules.definition import LONGEST_JITTER_S, LONGEST_WINDOW_S, MOST_AT

CronText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Field(
        description="five fields: minute, hour, day, month, weekday; or @hourly to @yearly; L, # and H as in docs/schedules.md"
    ),
]
IntervalText = Annotated[
    str,
    StringConstraints(min_length=2, max_length=40),
    Field(description="elapsed time between runs, such as 15m or 1h30m"),
]
ZoneName = Annotated[
    str, StringConstraints(min_length=1, max_length=64), Field(description="IANA zone, such as Europe/Berlin")
]
OverlapWord = Literal["skip", "queue", "queue_all", "cancel", "allow"]
CatchUpWord = Literal["none", "last", "all"]
FiringWord = Literal["WAITING", "LIVE", "ENDED", "SKIPPED", "FAILED"]
FiringKindWord = Literal["REGULAR", "CATCH_UP", "BACKFILL", "TRIGGER"]


class ScheduleTimingBody(Body):
    """When a schedule is due, and what it does then. One of `cron`, `every` and `at` is given."""

    cron: CronText | None = None
    every: IntervalText | None = None
    at: Annotated[list[Moment], Field(min_length=1, max_length=MOST_AT)] | None = None
    zone: ZoneName = "UTC"
    start: Annotated[Moment | None, Field(description="nothing is due before; `every` is counted from here")] = None
    end: Annotated[Moment | None, Field(description="nothing is due after")] = None
    jitter_s: Annotated[
        int, Field(ge=0, le=LONGEST_JITTER_S, description="runs are made up to so much later, each time the same")
    ] = 0
    overlap: Annotated[OverlapWord, Field(description="when a run is due while one before it is live")] = "skip"
    catch_up: Annotated[
        CatchUpWord, Field(description="which times are made up for that were missed in a downtime")
    ] = "last"
    catch_up_window_s: Annotated[int, Field(ge=0, le=LONGEST_WINDOW_S)] = 86_400
    max_live: Annotated[int, Field(ge=1, le=1_000)] = 100
    pause_after_failures: Annotated[int, Field(ge=1, le=1_000)] | None = None


class ScheduledWorkflowBody(GivenFields):
    """A saved workflow to run, and what each run is given. Without a revision each run has the newest one of its time."""

    type: Annotated[TypeAndRevision, Field(description="its name, or name:2 for one of its revisions")]
    project: Word = LEFT_OUT
    priority: Priority = LEFT_OUT


class ScheduleBody(ScheduleTimingBody):
    """A new schedule of a job or of a saved workflow. A job has the fields of a submission, without what concerns one submission alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["job"]}, {"required": ["workflow"]}],
            "examples": [
                {"name": "nightly", "cron": "30 2 * * *", "zone": "Europe/Berlin", "job": {"command": ["backup"]}},
                {"name": "hourly", "every": "1h", "workflow": {"type": "airports", "inputs": {"limit": 5}}},
            ],
        }
    )

    name: Word
    job: JobBody = LEFT_OUT
    workflow: ScheduledWorkflowBody = LEFT_OUT
    is_paused: bool = False
    pause_reason: Reason | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> ScheduleBody:
        if (self.job is None) == (self.workflow is None):
            raise ValueError("give either a job, or the workflow that is run")
        return self


class ScheduleChangeBody(ChangeBody):
    """Changes of a schedule: `timing`, and `job` or `workflow`, as a whole; or a pause."""

    timing: ScheduleTimingBody = LEFT_OUT
    job: JobBody = LEFT_OUT
    workflow: ScheduledWorkflowBody = LEFT_OUT
    is_paused: bool = LEFT_OUT
    pause_reason: Reason | None = None
    catch_up: Annotated[bool, Field(description="at the end of a pause: make up for what was missed in it")] = False

    @model_validator(mode="after")
    def _one_of_both(self) -> ScheduleChangeBody:
        if self.job is not None and self.workflow is not None:
            raise ValueError("give either a job, or the workflow that is run")
        return self


class SchedulesQuery(OrderedQuery):
    """A list of schedules. Repeat a parameter for alternatives."""

    name: list[str] = []
    project: list[str] = []
    is_paused: QueryBool | None = None


class TriggerBody(Body):
    """A run by hand."""

    force: Annotated[bool, Field(description="also while a run is live")] = False


class BackfillBody(Body):
    """Past times to make runs for: those from `from` to `to`."""

    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    max_live: Annotated[int, Field(ge=1, le=1_000, description="so many at once, apart from regular runs")] = 1
    order: Literal["oldest", "newest"] = "oldest"
    only_missing: Annotated[bool, Field(description="else 409 where something was decided of a time before")] = True
    dry_run: bool = False


class ComingTime(TypedDict):
    """A time at which a schedule is due, on the clocks of its zone too; `made` is when its run is made, with the jitter."""

    utc: datetime
    local: str
    made: datetime


class ScheduleTimingView(TypedDict):
    """When a schedule is due."""

    cron: str | None
    every: str | None
    at: list[datetime] | None
    zone: str
    start: datetime | None
    end: datetime | None
    jitter_s: int
    overlap: OverlapWord
    catch_up: CatchUpWord
    catch_up_window_s: int
    max_live: int
    pause_after_failures: int | None


class ScheduleView(ScheduleTimingView):
    """A schedule, with its next five times and what a change of clocks among them does."""

    id: int
    project: str
    name: str
    job: Annotated[dict[str, object] | None, Field(description="what it makes, null where that is a workflow")]
    workflow: Annotated[dict[str, object] | None, Field(description="what it runs, null where it makes a job")]
    is_paused: bool
    pause_reason: str | None
    next: list[ComingTime]
    clock_change: str | None
    created_by: str | None
    created: datetime
    last_modified: datetime


class ScheduleList(ListOf):
    """A page of schedules."""

    results: list[ScheduleView]


class FiringView(TypedDict):
    """What became of one time: `status` is that of its job, or the state of its workflow; null where there is neither."""

    nominal: datetime
    kind: FiringKindWord
    outcome: FiringWord
    reason: str | None
    job: int | None
    workflow: int | None
    status: str | None
    at: datetime


class FiringList(ListOf):
    """A page of the times of a schedule, the newest first."""

    results: list[FiringView]


class SchedulePreview(TypedDict):
    """The coming times of a schedule that is not made yet."""

    next: list[ComingTime]
    clock_change: str | None


class BackfillView(TypedDict):
    """The times that a backfill is for, in their order."""

    dry_run: bool
    count: int
    times: list[datetime]


class EndedBackfill(TypedDict):
    """How many runs of backfills were skipped or cancelled."""

    count: int
