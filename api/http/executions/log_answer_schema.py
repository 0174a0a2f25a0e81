"""Answers about what programs printed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict


class LogView(TypedDict):
    """Output from `offset` on. `next_offset` is where to go on; nothing will follow once `is_finished`."""

    execution_id: int
    stream: str
    phase: str | None
    offset: int
    next_offset: int
    text: str
    stderr_lines: Annotated[
        list[tuple[int, int]],
        Field(description="the lines of `text` that standard error has a part in: first and last of each run, from 0"),
    ]
    is_finished: bool


class LogIndexView(TypedDict):
    """Where lines begin: `offsets[n]` is the byte at which line n x `every` begins, counted from 0; with `skip` n begins there."""

    execution_id: int
    stream: str
    phase: str | None
    size_bytes: int
    lines: Annotated[int, Field(description="that are ended by a newline")]
    every: int
    offsets: list[int]
    times: Annotated[list[datetime], Field(description="when what begins there was printed, by the node's clock")]
    is_complete: Annotated[bool, Field(description="false: there is more already; ask again")]
    is_finished: bool


class LogHitView(TypedDict):
    """A line that was found, counted from 0; its text is cut at 1,000 letters."""

    line: int
    offset: int
    text: str


class LogSearchView(TypedDict):
    """Lines that were found, at most 1,000 in at most 5 seconds; the rest begins at `next_offset`, null at the end of what there is."""

    hits: list[LogHitView]
    next_offset: int | None
    next_line: int | None
    is_finished: bool


class JobLogHitView(LogHitView):
    """A line that was found, and in the output of which execution."""

    execution_id: int
    attempt: int
    member: int


class JobLogSearchView(TypedDict):
    """Lines that were found in the outputs of one job, at most 1,000 in at most 5 seconds; the rest begins at the `next_` values, null at the end."""

    hits: list[JobLogHitView]
    searched: Annotated[int, Field(description="executions whose output was looked at by this call")]
    next_execution_id: int | None
    next_offset: int | None
    next_line: int | None
