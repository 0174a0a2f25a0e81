"""Where the wait of a job went: its events and the recorded reasons of its shape, put together as stretches of time.

A shape is what jobs ask for, so the jobs of one shape wait for the same thing. What is of one job alone, its holds, needs,
pauses before a next try and the time that its node takes to start it, is known from its own events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.rules.lifecycle.moves import JobStatus

SHORT = timedelta(seconds=4)
"""Reasons are looked for about once a second: a stretch as short as this in which none was recorded belongs to the next one."""


@dataclass(frozen=True, slots=True)
class WaitWords:
    """The words for reasons that follow from a job's own events."""

    upload: str
    needs: str
    blocked: str
    not_before: str
    held: str
    next: str
    behind: str
    starting: str
    in_turn: str
    unrecorded: str


@dataclass(frozen=True, slots=True)
class WaitSpan:
    """A stretch of time and the reason of the wait in it; `ended` is None while it lasts."""

    reason: str
    began: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """An event of a job: what it was, the status after it, and for how long a next try is put off."""

    at: datetime
    event: str
    before: str | None
    after: str
    attempt: int
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class TryStart:
    """When a node began with an attempt of a job; None while it has not. `is_ahead`: it was behind others on its node."""

    attempt: int
    started: datetime | None
    is_ahead: bool


@dataclass(frozen=True, slots=True)
class JobPast:
    """What is known of a job's past: its events and tries, oldest first, and what it asked for."""

    created: datetime
    status: str
    is_held: bool
    not_before: datetime | None
    has_needs: bool
    is_serial: bool
    events: Sequence[WaitEvent]
    starts: Sequence[TryStart]


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stretch in which a job had one status, and was held or not."""

    status: str
    began: datetime
    ended: datetime | None
    is_held: bool
    attempt: int = 0
    delay_s: float | None = None


def waits(past: JobPast, recorded: Sequence[WaitSpan], words: WaitWords) -> list[WaitSpan]:
    """Return the stretches in which a job waited, oldest first, none of which overlap; the last is open while it waits.

    `recorded` are the reasons of the job's shape, oldest first.
    """
    found: list[WaitSpan] = []
    for stage in _stages(past):
        for span in _of_stage(stage, past, recorded, words):
            if span.ended is not None and span.ended <= span.began:
                continue
            if found and found[-1].reason == span.reason and found[-1].ended == span.began:
                found[-1] = replace(found[-1], ended=span.ended)
            else:
                found.append(span)
    return found


def totals(spans: Sequence[WaitSpan], now: datetime) -> dict[str, float]:
    """Return the seconds of each reason, the longest first."""
    seconds: dict[str, float] = {}
    for span in spans:
        seconds[span.reason] = seconds.get(span.reason, 0.0) + length_s(span, now)
    return dict(sorted(seconds.items(), key=lambda one: -one[1]))


def length_s(span: WaitSpan, now: datetime) -> float:
    """Return the seconds of a stretch, until now if it lasts."""
    return max(0.0, ((span.ended or now) - span.began).total_seconds())


def _stages(past: JobPast) -> Iterator[_Stage]:
    """Yield the stages of a job; the first begins when it was made."""
    first = past.events[0] if past.events else None
    status = past.status if first is None else first.before or first.after
    turns = [one.event for one in past.events if one.event in {"HOLD", "RELEASE"}]
    stage = _Stage(status, past.created, None, is_held=turns[0] == "RELEASE" if turns else past.is_held)
    for event in past.events:
        held = {"HOLD": True, "RELEASE": False}.get(event.event, stage.is_held)
        if event.after == stage.status and held == stage.is_held:
            continue
        yield replace(stage, ended=event.at)
        delay_s = event.delay_s if event.after != stage.status else None
        stage = _Stage(event.after, event.at, None, held, event.attempt, delay_s)
    yield stage


def _of_stage(stage: _Stage, past: JobPast, recorded: Sequence[WaitSpan], words: WaitWords) -> Iterator[WaitSpan]:
    match stage.status:
        case JobStatus.PENDING_UPLOAD:
            yield WaitSpan(words.upload, stage.began, stage.ended)
        case JobStatus.PENDING:
            yield WaitSpan(words.needs if past.has_needs else words.not_before, stage.began, stage.ended)
        case JobStatus.BLOCKED:
            yield WaitSpan(words.blocked, stage.began, stage.ended)
        case JobStatus.QUEUED:
            yield from _queued(stage, past, recorded, words)
        case JobStatus.RUNNING:
            yield from _starting(stage, past, words)
        case _:
            return


def _starting(stage: _Stage, past: JobPast, words: WaitWords) -> Iterator[WaitSpan]:
    start = next((one for one in past.starts if one.attempt == stage.attempt), None)
    if start is None:
        return
    began = start.started
    ended = stage.ended if began is None else began if stage.ended is None else min(began, stage.ended)
    yield WaitSpan(words.behind if start.is_ahead else words.starting, stage.began, ended)


def _queued(stage: _Stage, past: JobPast, recorded: Sequence[WaitSpan], words: WaitWords) -> Iterator[WaitSpan]:
    if stage.is_held:
        yield WaitSpan(words.held, stage.began, stage.ended)
        return
    began = stage.began
    due = began + timedelta(seconds=stage.delay_s) if stage.delay_s else past.not_before
    if due is not None and due > began:
        until = due if stage.ended is None else min(due, stage.ended)
        yield WaitSpan(words.not_before, began, until)
        began = until
    yield from _recorded(replace(stage, began=began), past, recorded, words)


def _recorded(stage: _Stage, past: JobPast, recorded: Sequence[WaitSpan], words: WaitWords) -> Iterator[WaitSpan]:
    """Yield what was recorded of a stretch in the queue, without gaps."""
    reached, last = stage.began, None
    for span in recorded:
        if (span.ended is not None and span.ended <= reached) or (
            stage.ended is not None and span.began >= stage.ended
        ):
            continue
        began = max(span.began, reached)
        if began - reached > SHORT:
            yield WaitSpan(_gap(past, words), reached, began)
            reached = began
        ended = span.ended if stage.ended is None else min(span.ended or stage.ended, stage.ended)
        yield WaitSpan(span.reason, reached, ended)
        if ended is None:
            return
        reached, last = ended, span.reason
    if stage.ended is not None and stage.ended - reached <= SHORT:
        yield WaitSpan(last or words.next, reached, stage.ended)
    elif stage.ended is not None or last is None:
        yield WaitSpan(_gap(past, words), reached, stage.ended)
    else:
        yield WaitSpan(last, reached, None)


def _gap(past: JobPast, words: WaitWords) -> str:
    """Return the reason of a time for which none was recorded: a job that takes turns is not counted until it is its turn."""
    return words.in_turn if past.is_serial else words.unrecorded
