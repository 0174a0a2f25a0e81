"""Queries about executions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from api.http.paging import OrderedQuery
from api.http.schema.fields import Bound, QueryId
from api.http.schema.words import CategoryWord
from scheduler.rules.lifecycle.moves import ExecutionStatus

ExecutionWord = Literal["QUEUED", "AHEAD", "RUNNING", "COMPLETED", "FAILED", "CANCELED", "WITHDRAWN", "LOST"]
assert set(ExecutionWord.__args__) == set(ExecutionStatus)  # type: ignore[attr-defined]  # noqa: S101 - a Literal's words


class OfOneJobQuery(OrderedQuery):
    """Executions of one job. Repeat a parameter for alternatives; times are of `last_modified`."""

    started: Bound | None = None
    ended: Bound | None = None
    status: list[ExecutionWord] = []
    node: list[str] = Field(default=[], description="host name, node name or id")
    node_id: list[QueryId] = []
    error_id: list[QueryId] = []
    error_category: list[CategoryWord] = []

    @field_validator("status", mode="before")
    @classmethod
    def _known_status(cls, value: object) -> object:
        for word in value if isinstance(value, list) else ():
            if word not in set(ExecutionStatus):
                raise ValueError(f"{str(word)[:40]!r} is not a status; the words are {', '.join(ExecutionStatus)}")
        return value


class ExecutionsQuery(OfOneJobQuery):
    """Executions of any job."""

    job_id: list[QueryId] = []
    job_type_id: list[QueryId] = []
    job_type_name: list[str] = []
    job_type_category: list[str] = []
