"""The record of why shapes wait: once a second the leader writes which reasons have changed since it looked last.

A shape is recorded from its second look on, so that what is placed within a second leaves nothing. A reason that changes all the
time is recorded the less often the longer the shape waits: a stretch has at least a hundredth of the wait, up to half a
minute, so that the record is true to a hundredth and a long wait has few rows. Nothing is written while nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scheduler.identifiers import ShapeId, Term
from scheduler.runtime import Runtime
from scheduler.store.leader import wait_spans

WAITS_EVERY_S = 1.0

_MOST_CHANGES = 2_000
"""Most shapes that are written at once; the others come with the next look."""

_PART = 100
_LONGEST_FIXED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ShapeWaits:
    """The shapes that waited at one moment, each with its main reason, in the words of the API."""

    at: datetime
    reasons: Mapping[ShapeId, str]


@dataclass(slots=True)
class _Waiting:
    """A shape that waits: since when, and the reason that is written, with its beginning; None before it is."""

    since: datetime
    reason: str | None = None
    began: datetime | None = None


@dataclass(slots=True)
class WaitRecorder:
    """What is written of the shapes that wait under this term. For one thread."""

    _term: Term | None = None
    _at: datetime | None = None
    _waiting: dict[ShapeId, _Waiting] = field(default_factory=dict)

    def record(self, rt: Runtime, term: Term | None, seen: ShapeWaits | None) -> int:
        """Write which shapes wait no more, and which wait for another reason; return how many stretches began."""
        if term is None or seen is None:
            return 0
        if term != self._term:
            with rt.db.begin() as tx:
                wait_spans.resume(tx, term)
            self._term, self._at, self._waiting = term, None, {}
        if seen.at == self._at:
            return 0
        closed = {each: seen.at for each, one in self._waiting.items() if each not in seen.reasons and one.reason}
        opened: dict[ShapeId, tuple[str, datetime]] = {}
        for shape_id, reason in seen.reasons.items():
            known = self._waiting.get(shape_id)
            if known is not None and len(opened) < _MOST_CHANGES and _is_news(known, reason, seen.at):
                began = known.since if known.reason is None else seen.at
                opened[shape_id] = (reason, began)
                if known.reason is not None:
                    closed[shape_id] = began
        if opened or closed:
            with rt.db.begin() as tx:
                wait_spans.write(tx, term, closed, opened)
        self._remember(seen, opened)
        return len(opened)

    def _remember(self, seen: ShapeWaits, opened: Mapping[ShapeId, tuple[str, datetime]]) -> None:
        self._at = seen.at
        self._waiting = {each: self._waiting.get(each) or _Waiting(seen.at) for each in seen.reasons}
        for shape_id, (reason, began) in opened.items():
            known = self._waiting[shape_id]
            known.reason, known.began = reason, began


def _is_news(known: _Waiting, reason: str, at: datetime) -> bool:
    """Tell whether a reason is to be written: the first, or another one after what is written has lasted for long enough."""
    if known.reason is None or known.began is None:
        return True
    return reason != known.reason and at - known.began >= min(_LONGEST_FIXED, (at - known.since) / _PART)
