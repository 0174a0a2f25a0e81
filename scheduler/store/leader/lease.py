"""One active scheduler. A term fences the others; an advisory lock only makes the hand-over quick.

Whoever holds the lock's session leads; when it dies, PostgreSQL drops the lock and the next one takes over at once.
A leader whose session hangs half-open is replaced when its beat has stood still for a while *as observed by the
candidate's own clock*. Either way the term rises, and who finds its term over writes nothing and steps down.

Nothing else rests on there being one: a transaction that was already open when the term ended may still commit, and
is held to the truth by the same guards as everybody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from scheduler.rules.cluster.plan import CarriedReservation

_KEY = 0x6C656164
"""Advisory lock key (the word "lead")."""

_ROW = text("SELECT term, holder, beat FROM leader WHERE name = 'scheduler'")

_TAKE = text("""
    UPDATE leader
    SET term = term + 1, holder = :holder, beat = beat + 1, at = now()
    WHERE name = 'scheduler' AND term = :seen
    RETURNING term
""")

_BEAT = text("""
    UPDATE leader
    SET beat = beat + 1, at = now(), status = CAST(:status AS jsonb)
    WHERE name = 'scheduler' AND term = :term
    RETURNING term
""")

_CLAIM = text("""
    UPDATE leader
    SET claims = CAST(:claims AS jsonb)
    WHERE name = 'scheduler' AND term = :term
    RETURNING term
""")

_FENCE = text("SELECT FROM leader WHERE name = 'scheduler' AND term = :term")


@dataclass(frozen=True, slots=True)
class Seat:
    """The leader row as a candidate sees it."""

    term: int
    holder: str
    beat: int


def look(tx: Connection) -> Seat:
    """Return who leads, and how often it has given a sign of life."""
    return Seat(**tx.execute(_ROW).one()._mapping)  # noqa: SLF001


def try_lock(tx: Connection) -> bool:
    """Try to get the leader's lock for this session; it is kept until the session ends."""
    return bool(tx.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar())


def release(tx: Connection) -> None:
    """Give the lock back, so that the next one need not wait until this session is seen to be gone."""
    tx.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})


def take(tx: Connection, holder: str, seen: Seat) -> int | None:
    """Become leader if nobody else did since `seen`; return the new term, or None."""
    return tx.execute(_TAKE, {"holder": holder, "seen": seen.term}).scalar()


def beat(tx: Connection, term: int, status: str) -> bool:
    """Give a sign of life; False when this term is over."""
    return tx.execute(_BEAT, {"term": term, "status": status}).scalar() is not None


def claim(tx: Connection, term: int, claims: Sequence[CarriedReservation]) -> bool:
    """Keep the claims of a plan for the next one, whoever makes it; False when this term is over."""
    document = orjson.dumps(
        [(claim.job_id, claim.shape_id, claim.node_ids, claim.promised) for claim in claims]
    ).decode()
    return tx.execute(_CLAIM, {"claims": document, "term": term}).scalar() is not None


def fence(tx: Connection, term: int) -> bool:
    """Tell whether this term is still the present one; False when it is over and nothing more should be written."""
    return tx.execute(_FENCE, {"term": term}).one_or_none() is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """The leader row as operators see it. `age_s` is since the last sign of life, by the database's clock."""

    term: int
    holder: str
    is_paused: bool
    pause_reason: str | None
    queue_mode: str
    preemption: bool | None
    reservations: int | None
    status: dict[str, Any]
    at: datetime
    age_s: float


_STANDING = text("""
    SELECT term, holder, is_paused, pause_reason, queue_mode, preemption, reservations, status, at,
           extract(epoch FROM clock_timestamp() - at)::float8 AS age_s
    FROM leader
    WHERE name = 'scheduler'
""")

_LOCK_SWITCHES = text("""
    SELECT is_paused, pause_reason, queue_mode, preemption, reservations
    FROM leader
    WHERE name = 'scheduler'
    FOR NO KEY UPDATE
""")

_SWITCH = text("""
    UPDATE leader
    SET is_paused = :is_paused, pause_reason = :pause_reason, queue_mode = :queue_mode,
        preemption = :preemption, reservations = :reservations
    WHERE name = 'scheduler'
""")


def standing(tx: Connection) -> Standing:
    """Return who leads, since when nothing was heard of it, and what operators have set."""
    return Standing(**tx.execute(_STANDING).one()._mapping)  # noqa: SLF001


def lock_switches(tx: Connection) -> dict[str, Any]:
    """Lock what operators set of the scheduler, and return it."""
    return dict(tx.execute(_LOCK_SWITCHES).one()._mapping)  # noqa: SLF001


def switch(tx: Connection, switches: Mapping[str, Any]) -> None:
    """Write what operators set of the scheduler; the leader reads it with its next tick."""
    tx.execute(_SWITCH, dict(switches))
