"""Needs: what the end of one job means for those that need it, and what all of a job's needs together mean for itself.

A job's verdict is a function of where its parents stand, and of nothing else: neither of the order in which they ended nor
of how often it is asked for. Not needed comes before broken, and broken before waiting; so the verdict is the same whichever
parent ends first, and a job that was blocked or skipped is judged anew when a parent leaves its end.

`EFFECTS` is the truth table. The statements of the resolver are made from it, see `scheduler/store/needs/`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scheduler.rules.lifecycle.moves import JobEvent, JobStatus

MOST_WRITTEN_OUT = 10_000
"""Most parents that one job names one by one; a group of any size is one need."""

MOST_EDGES = 1_000_000
"""Most needs of one submission."""


class NeedKind(StrEnum):
    """The end of a parent that satisfies a need: a good one, any one, a failure; or already its start."""

    OK = "OK"
    ANY = "ANY"
    FAIL = "FAIL"
    START = "START"


class ParentState(StrEnum):
    """Where a parent stands, as far as needs tell it apart. UNSTARTED: cancelled before any try; STARTED: a node has claimed it."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    UNSTARTED = "UNSTARTED"
    SKIPPED = "SKIPPED"
    BLOCKED = "BLOCKED"
    STARTED = "STARTED"
    WAITING = "WAITING"


class NeedEffect(StrEnum):
    """What a parent's standing makes of a need; WAITS is stored as null."""

    OK = "OK"
    BROKEN = "BROKEN"
    UNNEEDED = "UNNEEDED"
    WAITS = "WAITS"


class NeedVerdict(StrEnum):
    """What becomes of a job by all of its needs."""

    SKIP = "SKIP"
    BLOCK = "BLOCK"
    WAIT = "WAIT"
    READY = "READY"


_K, _P, _E = NeedKind, ParentState, NeedEffect
_ROWS: dict[ParentState, tuple[NeedEffect, NeedEffect, NeedEffect, NeedEffect]] = {
    #               after OK      after ANY   after FAIL     after START
    _P.COMPLETED: (_E.OK, _E.OK, _E.UNNEEDED, _E.OK),
    _P.FAILED: (_E.BROKEN, _E.OK, _E.OK, _E.OK),
    _P.CANCELED: (_E.BROKEN, _E.OK, _E.UNNEEDED, _E.OK),
    _P.UNSTARTED: (_E.BROKEN, _E.OK, _E.UNNEEDED, _E.BROKEN),
    _P.SKIPPED: (_E.UNNEEDED, _E.OK, _E.UNNEEDED, _E.UNNEEDED),
    _P.BLOCKED: (_E.BROKEN, _E.OK, _E.UNNEEDED, _E.BROKEN),
    _P.STARTED: (_E.WAITS, _E.WAITS, _E.WAITS, _E.OK),
    _P.WAITING: (_E.WAITS, _E.WAITS, _E.WAITS, _E.WAITS),
}
EFFECTS: dict[tuple[NeedKind, ParentState], NeedEffect] = {
    (kind, state): effect for state, row in _ROWS.items() for kind, effect in zip(NeedKind, row, strict=True)
}
"""The truth table."""


def state_of(status: JobStatus, *, is_skipped: bool, num_exes: int, is_claimed: bool) -> ParentState:
    """Return where a job stands as a parent. `num_exes` counts its tries, `is_claimed` says that a node has its present one."""
    match status:
        case JobStatus.COMPLETED | JobStatus.FAILED | JobStatus.BLOCKED:
            return ParentState(status)
        case JobStatus.CANCELED:
            if is_skipped:
                return ParentState.SKIPPED
            return ParentState.CANCELED if num_exes else ParentState.UNSTARTED
        case JobStatus.RUNNING if is_claimed:
            return ParentState.STARTED
        case _:
            return ParentState.WAITING


def effect(kind: NeedKind, state: ParentState, *, allow_skipped: bool = False) -> NeedEffect:
    """Return what a parent that stands there makes of a need; with `allow_skipped` a skipped parent satisfies."""
    if allow_skipped and state is ParentState.SKIPPED and kind is not NeedKind.FAIL:
        return NeedEffect.OK
    return EFFECTS[kind, state]


@dataclass(frozen=True, slots=True)
class GroupTally:
    """How the members of a group stand for one need: how many are of each effect."""

    ok: int = 0
    waits: int = 0
    unneeded: int = 0
    broken: int = 0

    @classmethod
    def of(cls, effects: Sequence[NeedEffect]) -> GroupTally:
        """Return the tally of these members."""
        counts = Counter(effects)
        return cls(*(counts[one] for one in (NeedEffect.OK, NeedEffect.WAITS, NeedEffect.UNNEEDED, NeedEffect.BROKEN)))


def of_all(tally: GroupTally, tolerate: int = 0) -> NeedEffect:
    """Return the effect of a need for all members of a group, of which so many may end badly. No members at all satisfy it.

    A member that was skipped counts among these like one that is blocked: it may have been blocked a moment ago.
    """
    if tally.unneeded + tally.broken > tolerate:
        return NeedEffect.UNNEEDED if tally.unneeded else NeedEffect.BROKEN
    return NeedEffect.WAITS if tally.waits else NeedEffect.OK


def of_any(tally: GroupTally) -> NeedEffect:
    """Return the effect of a need for one member of a group, whichever: the first good one satisfies it.

    So is a need for the failure of a group: it is there to follow up failures, and one is enough.
    """
    if tally.ok:
        return NeedEffect.OK
    if tally.waits:
        return NeedEffect.WAITS
    return NeedEffect.BROKEN if tally.broken else NeedEffect.UNNEEDED


def verdict(effects: Iterable[NeedEffect]) -> NeedVerdict:
    """Return what becomes of a job with these needs; without any it is READY."""
    seen = set(effects)
    if NeedEffect.UNNEEDED in seen:
        return NeedVerdict.SKIP
    if NeedEffect.BROKEN in seen:
        return NeedVerdict.BLOCK
    return NeedVerdict.WAIT if NeedEffect.WAITS in seen else NeedVerdict.READY


def moves_by(status: JobStatus, verdict: NeedVerdict, *, later: bool = False) -> tuple[JobEvent, ...]:
    """Return the moves that a verdict makes of a job in this status, in turn; a CANCELED one is one that was skipped.

    `later` says that the job's own time is still to come: it waits for that. A skipped job that is needed now begins
    anew, and is judged once more then.
    """
    if status == JobStatus.CANCELED:
        return () if verdict is NeedVerdict.SKIP else (JobEvent.RENEW,)
    if verdict is NeedVerdict.SKIP:
        return (JobEvent.SKIP,)
    if verdict is NeedVerdict.BLOCK:
        return () if status == JobStatus.BLOCKED else (JobEvent.BLOCK,)
    released = (JobEvent.READY,) if verdict is NeedVerdict.READY and not later else ()
    return (JobEvent.UNBLOCK, *released) if status == JobStatus.BLOCKED else released
