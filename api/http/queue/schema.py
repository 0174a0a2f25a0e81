"""Requests and answers of the queue, in the forms of older clients."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.http.bulk.schema import Many, Text
from api.http.jobs.answer_schema import JobEntry, JobTypeOfJob
from api.http.jobs.schema import JobData, StatusWord
from api.http.schema.answers import ListOf
from api.http.schema.fields import Body, Bound, Digits, Id, Priority, Query
from api.http.schema.words import CategoryWord
from scheduler.explain.explanation_json import NodeName
from scheduler.explain.words import ReasonWord, WouldWord
from scheduler.identifiers import JobTypeId


class NewJobBody(Body):
    """A job of a type, with its data in the documented form."""

    job_type_id: Annotated[JobTypeId, Field(ge=-(2**53), le=2**53)]
    job_data: JobData = JobData()


class RequeueJobsBody(Body):
    """Which jobs to requeue; each filter is a list."""

    job_ids: Many[Id] = []
    job_type_ids: Many[Id] = []
    job_type_names: Many[Text] = []
    job_type_categories: Many[Text] = []
    error_ids: Many[Id] = []
    error_categories: Many[CategoryWord] = []
    status: Many[StatusWord] = []
    started: Bound | None = None
    ended: Bound | None = None
    priority: Priority | None = None


class QueueStatus(TypedDict):
    """The waiting jobs of one type."""

    job_type: JobTypeOfJob
    count: int
    longest_queued: datetime
    highest_priority: int
    is_job_type_paused: bool


class QueueStatusList(ListOf):
    """Every type with waiting jobs."""

    results: list[QueueStatus]


class QueueHeadQuery(Query):
    """How many of the next jobs."""

    limit: Annotated[int, Field(ge=1, le=500, description="most jobs of the answer"), Digits] = 50


class QueueHeadEntry(TypedDict):
    """A job near the head of the queue, and what the next tick would do with it: `start` it, `make-room` for it, or let it `wait`."""

    position: Annotated[int, Field(description="from 1 on, among the jobs of all projects")]
    job: JobEntry
    would: WouldWord
    nodes: Annotated[list[NodeName], Field(description="where it would start, or where room is kept for it")]
    start: Annotated[datetime | None, Field(description="from when room is kept for it; null where none is")]
    reason: Annotated[
        ReasonWord | None, Field(description="what keeps it; null where it would start, or was not reached")
    ]


class QueueHeadList(TypedDict):
    """The jobs that go next."""

    results: list[QueueHeadEntry]


class BalanceEntry(TypedDict):
    """How a project stands beside the others."""

    project: str
    weight: float
    share: Annotated[float, Field(description="of the fleet, that it holds now, 0 to 1")]
    owed_s: Annotated[
        float, Field(description="seconds of the whole fleet that the others owe it; below 0 it owes them")
    ]
    credit: Annotated[float, Field(description="the share of the fleet by which that lifts it now")]
    ahead: Annotated[int, Field(description="waiting projects that go before it")]
    waiting: Annotated[int, Field(description="its jobs that may be placed")]
    executions: int


class BalanceList(ListOf):
    """How projects stand, whoever goes first first."""

    results: list[BalanceEntry]


class BalanceHistoryQuery(Query):
    """Which time, and how many projects."""

    hours: Annotated[int, Field(ge=1, le=744, description="the last so many hours"), Digits] = 24
    limit: Annotated[
        int, Field(ge=1, le=20, description="most projects: those that were owed or owed most"), Digits
    ] = 8


class BalancePointView(TypedDict):
    """How a project stood at one time."""

    time: datetime
    share: Annotated[float, Field(description="of the fleet, that it used of late, 0 to 1")]
    owed_s: Annotated[
        float, Field(description="seconds of the whole fleet that the others owed it; below 0 it owed them")
    ]


class BalanceCourseView(TypedDict):
    """How one project stood over time."""

    project: str
    points: Annotated[
        list[BalancePointView], Field(description="oldest first, at most 201; all projects have the same times")
    ]


class BalanceHistory(TypedDict):
    """How projects stood over time, whoever differed most first."""

    results: list[BalanceCourseView]
