"""Which jobs a request means, whether it says so in its query string or in its body."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.http.routing import ApiCall
from api.http.schema import times
from scheduler.feed.change_feed import FeedInterest
from scheduler.identifiers import JobId, JobTypeId
from scheduler.identity import Caller
from scheduler.store.jobs.listing import JobFilter

CHOSEN = (
    "status", "job_id", "job_type_id", "job_type_name", "job_type_category", "error_id", "error_category", "error_name", "node", "pool",
    "label", "job_name", "workflow_id", "project", "priority",
)  # fmt: skip
"""The fields by which jobs are chosen, each a list of alternatives; one that is empty does not narrow. `not_` before it excludes."""


def job_filter(call: ApiCall, query: BaseModel) -> JobFilter:
    """Return the filter that query parameters, or the fields of a bulk body, mean: both have the same."""
    now = call.rt.now()
    given = query.model_dump(include=_FIELDS)
    started, ended = times.window(given.get("started"), given.get("ended"), now)
    after, before = given.get("created_after"), given.get("created_before")
    chosen: dict[str, Any] = {
        name: tuple(given[name]) for name in CHOSEN if _listed(given.get(name))
    }  # of the filter's types
    excluded: dict[str, Any] = {name: tuple(given[f"not_{name}"]) for name in CHOSEN if given.get(f"not_{name}")}
    held = given.get("is_held")
    return JobFilter(
        started=started,
        ended=ended,
        **chosen,
        is_held=() if held is None else (held,),
        text=tuple(given.get("text") or ()),
        changed_by=tuple(given.get("changed_by") or ()),
        created_after=times.moment(after, "created_after", now),
        created_before=times.moment(before, "created_before", now),
        without=JobFilter(**excluded) if excluded else None,
    )


def interest_of(chosen: JobFilter, caller: Caller) -> FeedInterest:
    """Return the changes that may concern a filter: as much of it as a change tells by itself."""
    return FeedInterest(
        project_id=caller.project_id,
        job_ids=frozenset(map(JobId, chosen.job_id)) or None,
        job_type_ids=frozenset(map(JobTypeId, chosen.job_type_id)) or None,
        statuses=frozenset(chosen.status) or None,
    )


def _listed(value: object) -> bool:
    """Tell whether alternatives are given; a field of the same name that a body has for something else is none."""
    return isinstance(value, list) and bool(value)


_FIELDS = {
    *("started", "ended", "created_after", "created_before", "is_held", "text", "changed_by"),
    *(f"{prefix}{name}" for name in CHOSEN for prefix in ("", "not_")),
}
