"""Queries about what programs printed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from api.http.schema.fields import Bound, Digits, Query, QueryBool, QueryId


class LogQuery(Query):
    """Which part of the output."""

    offset: Annotated[int, Field(ge=0, le=2**60, description="first byte wanted"), Digits] = 0
    tail: Annotated[int, Field(ge=1, le=2**60), Digits] | None = Field(
        default=None, description="only so many bytes of the end, of what there is now"
    )
    limit: Annotated[int, Field(ge=1, le=2**60), Digits] | None = Field(
        default=None, description="at most so many bytes"
    )
    tail_lines: Annotated[int, Field(ge=1, le=100_000), Digits] | None = Field(
        default=None, description="only so many last lines, of what there is now; with follow those first"
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
        if self.tail is not None and self.tail_lines is not None:
            raise ValueError("tail counts bytes and tail_lines lines: one of them")
        return self


class LogPhaseQuery(Query):
    """Which part of the output."""

    phase: Literal["pre", "job", "post", "cleanup"] | None = Field(default=None, description="one phase only")


class LogIndexQuery(LogPhaseQuery):
    """Which part of the output, and which part of its index."""

    skip: Annotated[int, Field(ge=0, le=2**60), Digits] = Field(
        default=0, description="leave out so many of the first places: what the caller has already"
    )


class LogLineQuery(LogPhaseQuery):
    """What to look for in lines."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    regex: QueryBool = Field(
        default=False,
        description="q is a pattern without look-around and back references, so that a search takes time that grows only with the output",
    )
    any_case: QueryBool = True
    started: Bound | None = Field(
        default=None, description="only in what was printed from then on, by the node's clock"
    )


class LogSearchQuery(LogLineQuery):
    """What to look for, and from where on: `offset` is the byte at which line `line` begins."""

    offset: Annotated[int, Field(ge=0, le=2**60), Digits] = 0
    line: Annotated[int, Field(ge=0, le=2**60), Digits] = 0


class JobLogSearchQuery(LogSearchQuery):
    """What to look for, in which tries, and from where on: in the output of `execution_id`, by default of the newest try."""

    attempt: list[QueryId] = Field(default=[], description="of these tries; by default of all")
    execution_id: QueryId | None = Field(default=None, description="`next_execution_id` of the answer before")
