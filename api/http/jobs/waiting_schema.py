"""Requests that wait for jobs to change, and what would help one that waits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from api.http.jobs.schema import FilterFields, StatusWord
from api.http.paging import MAX_PAGE_SIZE
from api.http.schema.fields import Body, Digits, Query
from api.http.waiting.parking import LONGEST_WAIT_S
from scheduler.explain.words import FixWord

MOST_CURSOR = 8_000
"""Characters: no address is longer."""

WaitSeconds = Annotated[
    int, Field(ge=0, le=LONGEST_WAIT_S, description="seconds to wait for a change, 0 for not at all"), Digits
]


class WaitQuery(Query):
    """How long to wait for a job to change."""

    wait: WaitSeconds = 0
    known: list[StatusWord] = Field(
        default=[],
        description="statuses that are no news to the caller: the answer comes once the job has another one, or has ended",
    )


class ChangesQuery(FilterFields):
    """Which changes of jobs, and how long to wait for one."""

    after: str | None = Field(
        default=None, max_length=MOST_CURSOR, description="the cursor of the last answer; without it: from now on"
    )
    wait: WaitSeconds = 0
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description="most jobs of an answer"), Digits] = 100


class ChangeName(Body):
    """A change as the explanation of a job names it."""

    fix: Annotated[FixWord, StringConstraints(max_length=64)]
    subject: Annotated[str, StringConstraints(max_length=512)] = ""


class TrialBody(Body):
    """Which changes are tried together; none: all that would help."""

    changes: Annotated[list[ChangeName], Field(max_length=50)] = []
