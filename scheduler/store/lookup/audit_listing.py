"""Lists of what people did."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from scheduler.store.paging import Listing, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which acts. Values of one field are alternatives, fields narrow; `subject` is found at its beginning."""

    actor: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    subject: str | None = None
    started: datetime | None = None
    ended: datetime | None = None


class AuditRow(NamedTuple):
    """One act of a person: who did what to what, why, and what it changed."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str | None
    detail: dict[str, Any]


AUDIT = Listing(
    AuditRow,
    "audit j",
    "j.id, j.at, j.actor, j.action, j.subject, j.reason, j.detail",
    "audit j ON j.id = page.id",
    {"id": SortKey("j.id", "bigint"), "at": SortKey("j.at", "timestamptz")},
)

_CONDITIONS = {
    "actor": "j.actor = ANY(:actor)",
    "action": "j.action = ANY(:action)",
    "subject": "starts_with(j.subject, :subject)",
    "started": "j.at >= :started",
    "ended": "j.at <= :ended",
}


def condition(chosen: AuditFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None and value != ()
    }
    return RowCondition(" AND ".join(_CONDITIONS[name] for name in given) or "true", given)
