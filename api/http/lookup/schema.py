"""Requests and answers that look across things: groups of jobs, a search, the record of acts, figures of a job type."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from api.http.jobs.schema import FilterFields
from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import Bound, Digits, Query

MOST_EXPORTED = 100_000
"""Jobs of one file: some 30 MB, and half a minute of a thread."""


class JobGroupsQuery(FilterFields):
    """Which jobs, and by what they are counted."""

    group_by: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="status", description="status, job_type, project, node, error, pool, priority, or label:KEY"
    )


class ExportQuery(FilterFields):
    """Which jobs, in which order, and as what."""

    format: Literal["csv", "jsonl"] = Field(
        default="csv", description="comma-separated values, or a JSON document a line"
    )
    order: list[str] = Field(default=[], description="field, or -field for descending; repeat for more than one")
    limit: Annotated[int, Field(ge=1, le=MOST_EXPORTED, description="most jobs"), Digits] = MOST_EXPORTED


class JobGroupView(TypedDict):
    """The jobs that have one value, null for those that have none."""

    value: str | None
    count: int
    count_exact: Annotated[bool, Field(description="false: of the first 10,000 that match")]


class JobGroupList(TypedDict):
    """Groups of jobs, the largest first, at most 100."""

    group_by: str
    results: list[JobGroupView]


class SearchQuery(Query):
    """What somebody typed."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SearchResult(TypedDict):
    """Something that was found, and where it is."""

    kind: Literal["job", "type", "node", "pool", "project"]
    id: Annotated[str, Field(description="by which it is asked for: an id, the name of a pool or project")]
    name: str
    detail: str | None


class SearchResults(TypedDict):
    """At most eight of each kind."""

    results: list[SearchResult]


class AuditQuery(OrderedQuery):
    """Which acts. Repeat a parameter for alternatives."""

    actor: list[str] = []
    action: list[str] = []
    subject: str | None = Field(default=None, max_length=200, description="found at its beginning: node:7, project:")
    started: Bound | None = None
    ended: Bound | None = None


class AuditEntry(TypedDict):
    """One act of a person: who did what to what, why, and what it changed."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str | None
    detail: dict[str, Any]


class AuditList(ListOf):
    """A page of acts, the newest first."""

    results: list[AuditEntry]


class StatisticsQuery(Query):
    """How far back."""

    started: Bound | None = Field(default=None, description="at most, and by default, 30 days ago")


class BucketView(TypedDict):
    """How many runs needed at most so much memory, and more than the one before."""

    up_to_mib: float
    count: int


class RunInShort(TypedDict):
    """One of the latest runs."""

    status: str
    ended: datetime
    run_s: float | None
    peak_mem_mib: float | None


class MemoryUsageView(TypedDict):
    """What runs that completed needed, what the latest asked for, and what would do; MiB."""

    used: dict[str, float]
    asked: float | None
    suggested: Annotated[float | None, Field(description="with a fifth to spare; null where that is not much less")]
    histogram: list[BucketView]


class CpuUsageView(TypedDict):
    """Cpus that runs used on average and asked for, and reserved cpu hours by what came of them."""

    used: dict[str, float]
    asked: float | None
    hours: Annotated[dict[str, float], Field(description="useful, idle, failed, stopped")]


class TypeStatisticsView(TypedDict):
    """Figures of a type's latest tries, at most 5,000, of the caller's projects. Quantiles are by `0.5` to `0.99`."""

    since: datetime
    runs: int
    by_status: dict[str, int]
    by_error: dict[str, int]
    wait_s: dict[str, float]
    run_s: dict[str, float]
    memory: MemoryUsageView
    cpus: CpuUsageView
    latest: list[RunInShort]
