"""Which jobs a request means, whether it says so in its query string or in its body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from api.http.routing import ApiCall
from api.http.schema import times
from scheduler.feed.change_feed import FeedInterest
from scheduler.identifiers import JobId, JobTypeId
from scheduler.identity import Caller
from scheduler.store.jobs.listing import JobFilter


class ChosenJobs(Protocol):
    """The fields by which jobs are chosen; one that is empty does not narrow. Both the list and bulk actions have them."""

    @property
    def started(self) -> str | None: ...  # noqa: D102

    @property
    def ended(self) -> str | None: ...  # noqa: D102

    @property
    def status(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def job_id(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def job_type_id(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def job_type_name(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def job_type_category(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def error_id(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def error_category(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def node(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def pool(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def label(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def job_name(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def workflow_id(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def project(self) -> Sequence[str]: ...  # noqa: D102


def job_filter(call: ApiCall, query: ChosenJobs) -> JobFilter:
    """Return the filter that query parameters, or the fields of a bulk body, mean."""
    started, ended = times.window(query.started, query.ended, call.rt.now())
    return JobFilter(
        started=started,
        ended=ended,
        status=tuple(query.status),
        job_id=tuple(query.job_id),
        job_type_id=tuple(query.job_type_id),
        job_type_name=tuple(query.job_type_name),
        job_type_category=tuple(query.job_type_category),
        error_id=tuple(query.error_id),
        error_category=tuple(query.error_category),
        node=tuple(query.node),
        pool=tuple(query.pool),
        label=tuple(query.label),
        job_name=tuple(query.job_name),
        workflow_id=tuple(query.workflow_id),
        project=tuple(query.project),
    )


def interest_of(chosen: JobFilter, caller: Caller) -> FeedInterest:
    """Return the changes that may concern a filter: as much of it as a change tells by itself."""
    return FeedInterest(
        project_id=caller.project_id,
        job_ids=frozenset(map(JobId, chosen.job_id)) or None,
        job_type_ids=frozenset(map(JobTypeId, chosen.job_type_id)) or None,
        statuses=frozenset(chosen.status) or None,
    )
