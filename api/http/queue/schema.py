"""Requests and answers of the queue, in the forms of older clients."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.http.bulk.schema import Many, Text
from api.http.jobs.answer_schema import JobTypeOfJob
from api.http.jobs.schema import JobData, StatusWord
from api.http.schema.answers import ListOf
from api.http.schema.fields import Body, Bound, Id, Priority
from api.http.schema.words import CategoryWord
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
