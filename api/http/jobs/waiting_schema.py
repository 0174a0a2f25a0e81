"""Requests that wait for jobs to change."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.http.jobs.schema import FilterFields, StatusWord
from api.http.paging import MAX_PAGE_SIZE
from api.http.schema.fields import Digits, Query
from api.http.waiting.parking import LONGEST_WAIT_S

MOST_CURSOR = 8_000
"""Characters: no address is longer."""

WaitSeconds = Annotated[
    int, Field(ge=0, le=LONGEST_WAIT_S, description="seconds to wait for a change, 0 for not at all"), Digits
]


class WaitQuery(Query):
    """How long to wait for a job to change."""

    wait: WaitSeconds = 0
    known: StatusWord | None = Field(
        default=None, description="the status that the caller knows: with another one the answer comes at once"
    )


class ChangesQuery(FilterFields):
    """Which changes of jobs, and how long to wait for one."""

    after: str | None = Field(
        default=None, max_length=MOST_CURSOR, description="the cursor of the last answer; without it: from now on"
    )
    wait: WaitSeconds = 0
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description="most jobs of an answer"), Digits] = 100
