"""Requests and answers about the load of the past."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import Bound, Digits, QueryId


class LoadQuery(OrderedQuery):
    """Which samples, at most 31 days of them, and which jobs count. Repeat a parameter for alternatives."""

    started: Bound | None = Field(default=None, description="by default midnight UTC seven days ago")
    ended: Bound | None = None
    job_type_id: list[QueryId] = []
    job_type_name: list[str] = []
    job_type_category: list[str] = []
    priority: list[Annotated[int, Field(ge=-(2**31), lt=2**31), Digits]] = []


class LoadPoint(TypedDict):
    """How many jobs waited and ran at one moment. What is blocked or has ended is not counted."""

    time: datetime
    pending_count: int
    queued_count: int
    running_count: int


class LoadList(ListOf):
    """A page of samples, the oldest first."""

    results: list[LoadPoint]
