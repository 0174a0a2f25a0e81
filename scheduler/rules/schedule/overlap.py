"""What a schedule does when it is due: which times fire, which wait, and which are skipped and why.

Nothing here knows a clock: `decide` gets the moment, what is live, and what waits already. Its answer for the same facts is the same, so
that it may be asked again after a crash.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from scheduler.rules.schedule import instants
from scheduler.rules.schedule.instants import ScheduleTimes


class OverlapRule(StrEnum):
    """What happens when a run is due while one before it is live: waiting or running."""

    SKIP = "skip"
    QUEUE = "queue"
    QUEUE_ALL = "queue_all"
    CANCEL = "cancel"
    ALLOW = "allow"


class CatchUpRule(StrEnum):
    """Which of the times that were missed are made up for."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class FiringKind(StrEnum):
    """Why a run was made."""

    REGULAR = "REGULAR"
    CATCH_UP = "CATCH_UP"
    BACKFILL = "BACKFILL"
    TRIGGER = "TRIGGER"


GRACE = timedelta(seconds=60)
"""So late a run is still on time: a leader may have been replaced meanwhile."""

MOST_AT_ONCE = 1_000
"""Most times that one decision looks at; what is due beyond is looked at in the next one."""

MOST_CAUGHT_UP = 100
MISSED = "missed, and not caught up"
TOO_OLD = "missed, and older than catch_up_window"
NEWER = "missed; a newer one is caught up"
TOO_MANY = f"missed, and more than {MOST_CAUGHT_UP} are caught up"
LIVE = "a run before it was still live"
REPLACED = "a newer one waits in its place"
FULL = "max_live runs were live or waiting"


@dataclass(frozen=True, slots=True)
class ScheduleRule:
    """When a schedule is due, and what it does then. `key` makes its jitter: the same for the same time, always."""

    times: ScheduleTimes
    key: str = ""
    overlap: OverlapRule = OverlapRule.SKIP
    catch_up: CatchUpRule = CatchUpRule.LAST
    window: timedelta = timedelta(hours=24)
    jitter_s: int = 0
    max_live: int = 100

    @property
    def at_once(self) -> int:
        """How many runs may be live at the same time."""
        return self.max_live if self.overlap is OverlapRule.ALLOW else 1

    def due_at(self, nominal: datetime) -> datetime:
        """Return when the run for this time is made."""
        if not self.jitter_s:
            return nominal
        return nominal + timedelta(seconds=zlib.crc32(f"{self.key} {nominal.isoformat()}".encode()) % self.jitter_s)


@dataclass(slots=True)
class ScheduleDecision:
    """What becomes of the times that are due. `replaced` waited and do no longer; `following` is the next time, None for never."""

    fire: list[tuple[datetime, FiringKind]] = field(default_factory=list)
    wait: list[tuple[datetime, FiringKind]] = field(default_factory=list)
    skip: list[tuple[datetime, str]] = field(default_factory=list)
    replaced: list[datetime] = field(default_factory=list)
    cancel_live: bool = False
    following: datetime | None = None


def decide(
    rule: ScheduleRule, first: datetime | None, now: datetime, live: int, waiting: Sequence[tuple[datetime, FiringKind]]
) -> ScheduleDecision:
    """Return what becomes of the times from `first` on that are due at `now`.

    `live` runs are there, and `waiting` are the times that wait already, in order; those of backfills are counted elsewhere.
    """
    decision = ScheduleDecision(following=first)
    due: list[datetime] = []
    while decision.following is not None and rule.due_at(decision.following) <= now and len(due) < MOST_AT_ONCE:
        due.append(decision.following)
        decision.following = instants.after(rule.times, decision.following)
    more = decision.following is not None and rule.due_at(decision.following) <= now
    held = list(waiting)
    live = _release(rule, decision, held, live)
    caught = sum(kind is FiringKind.CATCH_UP for _, kind in held)
    for number, nominal in enumerate(due):
        is_newest = number == len(due) - 1 and not more
        kind, reason = _judge(rule, nominal, now, is_newest=is_newest, caught=caught)
        if kind is None:
            decision.skip.append((nominal, reason))
            continue
        if kind is FiringKind.CATCH_UP and rule.catch_up is CatchUpRule.ALL:
            caught += 1
            held.append((nominal, kind))
            decision.wait.append((nominal, kind))
            continue
        live = _overlap(rule, decision, held, live, (nominal, kind))
    _release(rule, decision, held, live)
    fired = {nominal for nominal, _ in decision.fire}
    decision.wait = [one for one in decision.wait if one[0] not in fired]
    decision.cancel_live = rule.overlap is OverlapRule.CANCEL and live > 0 and bool(held)
    return decision


def _judge(
    rule: ScheduleRule, nominal: datetime, now: datetime, *, is_newest: bool, caught: int
) -> tuple[FiringKind | None, str]:
    """Return of which kind a time that is due is, or None and why it is skipped."""
    if is_newest and now - rule.due_at(nominal) <= GRACE:
        return FiringKind.REGULAR, ""
    if rule.catch_up is CatchUpRule.NONE:
        return None, MISSED
    if now - nominal > rule.window:
        return None, TOO_OLD
    if rule.catch_up is CatchUpRule.LAST:
        return (FiringKind.CATCH_UP, "") if is_newest else (None, NEWER)
    return (FiringKind.CATCH_UP, "") if caught < MOST_CAUGHT_UP else (None, TOO_MANY)


def _overlap(
    rule: ScheduleRule,
    decision: ScheduleDecision,
    held: list[tuple[datetime, FiringKind]],
    live: int,
    due: tuple[datetime, FiringKind],
) -> int:
    """Let one time fire, wait or be skipped, by what is live; return how many are live then."""
    taken = live + len(held)
    if taken == 0 or (rule.overlap is OverlapRule.ALLOW and taken < rule.max_live):
        decision.fire.append(due)
        return live + 1
    match rule.overlap:
        case OverlapRule.SKIP:
            decision.skip.append((due[0], LIVE))
        case OverlapRule.ALLOW:
            decision.skip.append((due[0], FULL))
        case OverlapRule.QUEUE_ALL:
            if taken < rule.max_live:
                _hold(decision, held, due)
            else:
                decision.skip.append((due[0], FULL))
        case OverlapRule.QUEUE | OverlapRule.CANCEL:
            _replace(decision, held)
            _hold(decision, held, due)
    return live


def _hold(
    decision: ScheduleDecision, held: list[tuple[datetime, FiringKind]], due: tuple[datetime, FiringKind]
) -> None:
    held.append(due)
    decision.wait.append(due)


def _replace(decision: ScheduleDecision, held: list[tuple[datetime, FiringKind]]) -> None:
    """Let nothing wait any more but what is caught up: the newest alone waits."""
    fresh = {nominal for nominal, _ in decision.wait}
    for one in [one for one in held if one[1] is FiringKind.REGULAR]:
        held.remove(one)
        if one[0] in fresh:
            decision.wait.remove(one)
            decision.skip.append((one[0], REPLACED))
        else:
            decision.replaced.append(one[0])


def _release(rule: ScheduleRule, decision: ScheduleDecision, held: list[tuple[datetime, FiringKind]], live: int) -> int:
    """Fire what waits, oldest first, while there is room for it; return how many are live then."""
    while held and live < rule.at_once:
        decision.fire.append(held.pop(0))
        live += 1
    return live
