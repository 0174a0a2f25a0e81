"""The timing of a schedule: as users write it, as it is stored, and as the rules take it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from scheduler.documents import Document
from scheduler.errors import InvalidInput
from scheduler.rules.schedule import cron, instants
from scheduler.rules.schedule.instants import ScheduleTimes
from scheduler.rules.schedule.overlap import CatchUpRule, OverlapRule, ScheduleRule
from scheduler.schedules import zones

_EVERY = re.compile(r"(?:(\d{1,5})w)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?\Z")
_SECONDS = (604_800, 86_400, 3_600, 60, 1)
MOST_AT = 1_000
LONGEST_WINDOW_S = 31 * 86_400
LONGEST_JITTER_S = 86_400


@dataclass(frozen=True, slots=True)
class ScheduleTiming:
    """When a schedule is due and what it does then, as users say it. One of `cron`, `every` (such as 15m) and `at` is given."""

    cron: str | None = None
    every: str | None = None
    at: list[datetime] | None = None
    zone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    jitter_s: int = 0
    overlap: str = OverlapRule.SKIP.value
    catch_up: str = CatchUpRule.LAST.value
    catch_up_window_s: int = 86_400
    max_live: int = 100
    pause_after_failures: int | None = None

    def document(self) -> Document:
        """Return the stored form: times as texts."""
        plain: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("start", "end"):
            plain[name] = None if plain[name] is None else plain[name].astimezone(UTC).isoformat()
        plain["at"] = None if self.at is None else [one.astimezone(UTC).isoformat() for one in self.at]
        return cast("Document", plain)


def stored(document: Mapping[str, object]) -> ScheduleTiming:
    """Return what a stored document says."""
    facts: dict[str, Any] = {one.name: document[one.name] for one in fields(ScheduleTiming) if one.name in document}
    for name in ("start", "end"):
        facts[name] = None if facts.get(name) is None else datetime.fromisoformat(facts[name])
    facts["at"] = None if facts.get("at") is None else [datetime.fromisoformat(one) for one in facts["at"]]
    return ScheduleTiming(**facts)


def rule(timing: ScheduleTiming, name: str) -> ScheduleRule:
    """Return the rule of a schedule of this name. Raises InvalidInput that names the field at fault."""
    given = [one for one in ("cron", "every", "at") if getattr(timing, one) is not None]
    if len(given) != 1:
        raise InvalidInput("a schedule has one of cron, every and at", field=given[1] if given else "cron")
    if timing.end is not None and timing.start is not None and timing.end <= timing.start:
        raise InvalidInput("the end is not after the start", field="end")
    pattern = None if timing.cron is None else cron.parse(timing.cron, name)
    interval = None if timing.every is None else every(timing.every)
    at = sorted(timing.at or ())
    if timing.at is not None and not 1 <= len(at) <= MOST_AT:
        raise InvalidInput(f"at has 1 to {MOST_AT} times", field="at")
    times = ScheduleTimes(zones.zone(timing.zone), pattern, interval, at, timing.start, timing.end)
    return ScheduleRule(
        times=times,
        key=name,
        overlap=OverlapRule(timing.overlap),
        catch_up=CatchUpRule(timing.catch_up),
        window=timedelta(seconds=timing.catch_up_window_s),
        jitter_s=timing.jitter_s,
        max_live=timing.max_live,
    )


def every(text: str) -> timedelta:
    """Return an interval such as `15m` or `1h30m`; raises InvalidInput."""
    found = _EVERY.match(text)
    seconds = (
        0 if found is None else sum(int(part or 0) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True))
    )
    if not 1 <= seconds <= instants.HORIZON.total_seconds():
        raise InvalidInput("every is an interval such as 30s, 15m, 1h30m, 2d or 1w", field="every")
    return timedelta(seconds=seconds)
