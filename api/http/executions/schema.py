"""Queries about executions and their output."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from api.http.paging import OrderedQuery
from api.http.schema.fields import Bound, Digits, Query, QueryBool, QueryId
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


class LogQuery(Query):
    """Which part of the output."""

    offset: Annotated[int, Field(ge=0, le=2**60, description="first byte wanted"), Digits] = 0
    tail: Annotated[int, Field(ge=1, le=2**60), Digits] | None = Field(
        default=None, description="only so many bytes of the end, of what there is now"
    )
    limit: Annotated[int, Field(ge=1, le=2**60), Digits] | None = Field(
        default=None, description="at most so many bytes"
    )
    phase: Literal["pre", "job", "post", "cleanup"] | None = Field(default=None, description="one phase only")
    started: Bound | None = Field(default=None, description="only what was printed from then on, by the node's clock")
    follow: QueryBool = Field(default=False, description="stream server-sent events while the execution runs")
    format: Literal["json", "txt", "html"] | None = Field(
        default=None, description="goes before Accept; html is a page with standard error in red"
    )

    @model_validator(mode="after")
    def _followed_as_events(self) -> LogQuery:
        if self.follow and self.format is not None:
            raise ValueError("what is followed comes as events: leave out format")
        return self


class LogIndexQuery(Query):
    """Which part of the output."""

    phase: Literal["pre", "job", "post", "cleanup"] | None = Field(default=None, description="one phase only")


class LogSearchQuery(LogIndexQuery):
    """What to look for, and from where on: `offset` is the byte at which line `line` begins."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    regex: QueryBool = Field(default=False, description="q is a pattern of Python's re, over bytes")
    any_case: QueryBool = True
    offset: Annotated[int, Field(ge=0, le=2**60), Digits] = 0
    line: Annotated[int, Field(ge=0, le=2**60), Digits] = 0
