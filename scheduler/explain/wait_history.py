"""Where the wait of a job went: each reason from when to when, from its events and from what the leader recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from typing_extensions import TypedDict

from scheduler.explain.wait_words import WORDS, WaitWord, said
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import queries
from scheduler.rules.lifecycle import waits
from scheduler.rules.lifecycle.waits import JobPast, WaitSpan
from scheduler.runtime import Runtime
from scheduler.store.leader import wait_spans
from scheduler.store.lookup import wait_facts

MOST_SHOWN = 500
"""Stretches of an answer, the newest; the totals count all of them."""


class WaitTotalView(TypedDict):
    """How long a job waited for one reason altogether."""

    reason: WaitWord
    description: str
    seconds: float


class WaitSpanView(WaitTotalView):
    """A stretch of time in which a job waited for one reason; `ended` is null while it does."""

    began: datetime
    ended: datetime | None


class WaitHistoryView(TypedDict):
    """Where the wait of a job went. Reasons are recorded about once a second, and true to a hundredth of the wait."""

    waited_s: Annotated[float, "seconds of all stretches together"]
    totals: Annotated[list[WaitTotalView], "by reason, the longest first"]
    results: Annotated[list[WaitSpanView], "oldest first; the newest 500"]
    is_cut: Annotated[bool, "the beginning is left out of `results`"]


def history(rt: Runtime, caller: Caller, job_id: JobId) -> WaitHistoryView:
    """Return why a job waited, or waits, from when to when. Raises NotFound."""
    with rt.db.begin() as tx:
        queries.one_job(tx, caller, job_id)
        job = wait_facts.job(tx, job_id)
        events = wait_facts.events(tx, job_id)
        starts = wait_facts.starts(tx, job_id)
        recorded = wait_spans.of_shape(tx, job.shape_id, job.created, job.ended)
    past = JobPast(
        events[0].at if len(events) == wait_facts.MOST_EVENTS else job.created,
        job.status,
        job.is_held,
        job.requested_not_before,
        job.has_needs,
        job.is_serial,
        events,
        starts,
    )
    found = waits.waits(past, [WaitSpan(*one) for one in recorded], WORDS)
    totals = waits.totals(found, job.now)
    return {
        "waited_s": sum(totals.values()),
        "totals": [{"reason": word, "description": said(word), "seconds": seconds} for word, seconds in totals.items()],
        "results": [_span(one, job.now) for one in found[-MOST_SHOWN:]],
        "is_cut": len(found) > MOST_SHOWN or len(events) == wait_facts.MOST_EVENTS,
    }


def _span(one: WaitSpan, now: datetime) -> WaitSpanView:
    return {
        "reason": one.reason,
        "description": said(one.reason),
        "seconds": waits.length_s(one, now),
        "began": one.began,
        "ended": one.ended,
    }
