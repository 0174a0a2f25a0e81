"""One active scheduler. A term fences the others; an advisory lock only makes the hand-over quick.

The process that holds the lock's session leads; when it dies, PostgreSQL drops the lock and the next one takes over at once.
A leader whose session hangs half-open is replaced when its beat has stood still for a while *as observed by the
candidate's own clock*. Either way the term rises, and who finds its term over writes nothing and steps down.

Nothing else rests on there being one: a transaction that was already open when the term ended may still commit, and
is held to the truth by the same guards as everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import Term
from scheduler.rules.cluster.plan import CarriedReservation
from scheduler.store import records

_KEY = 0x6C656164
"""Advisory lock key (the word "lead")."""

_ROW = text("SELECT term, holder, beat FROM leader WHERE name = 'scheduler'")

_TAKE_OVER = text("""
    UPDATE leader
    SET term = term + 1, holder = :holder, beat = beat + 1, left_at = at, at = now()
    WHERE name = 'scheduler' AND term = :seen
    RETURNING term
""")

_BEAT = text("""
    UPDATE leader
    SET beat = beat + 1, at = now(), status = CAST(:status AS jsonb)
    WHERE name = 'scheduler' AND term = :term
    RETURNING term
""")

_CARRY = text("""
    UPDATE leader
    SET claims = CAST(:claims AS jsonb)
    WHERE name = 'scheduler' AND term = :term
    RETURNING term
""")

_FENCE = text("SELECT FROM leader WHERE name = 'scheduler' AND term = :term")


class LeaderRow(NamedTuple):
    """The leader row as a candidate sees it."""

    term: Term
    holder: str
    beat: int


def read(tx: Connection) -> LeaderRow:
    """Return who leads, and how often it has given a sign of life."""
    return records.read_one(LeaderRow, tx.execute(_ROW))


def try_lock(tx: Connection) -> bool:
    """Try to get the leader's lock for this session; it is kept until the session ends."""
    return bool(tx.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar())


def release(tx: Connection) -> None:
    """Give the lock back, so that the next one need not wait until this session is seen to be gone."""
    tx.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})


def take_over(tx: Connection, holder: str, seen: LeaderRow) -> Term | None:
    """Become leader if nobody else did since `seen`; return the new term, or None."""
    return tx.execute(_TAKE_OVER, {"holder": holder, "seen": seen.term}).scalar()


def beat(tx: Connection, term: Term, status: str) -> bool:
    """Give a sign of life; False when this term is over."""
    return tx.execute(_BEAT, {"term": term, "status": status}).scalar() is not None


def carry(tx: Connection, term: Term, reservations: Sequence[CarriedReservation]) -> bool:
    """Carry reservations of a plan to the next one, whoever makes it; False when this term is over."""
    document = orjson.dumps(
        [(each.job_id, each.shape_id, each.node_ids, each.promised, each.due) for each in reservations]
    ).decode()
    return tx.execute(_CARRY, {"claims": document, "term": term}).scalar() is not None


def fence(tx: Connection, term: Term) -> bool:
    """Tell whether this term is still the present one; False when it is over and nothing more should be written."""
    return tx.execute(_FENCE, {"term": term}).one_or_none() is not None


class LeaderStatus(TypedDict, total=False):
    """The leader's report of itself with its sign of life; counts are since it took the lead."""

    queued: int
    tick_ms: float
    waiting_by_reason: dict[str, int]
    preemption: bool
    reservations: int
    reserved: int
    placed: int
    lost: int
    violations: dict[str, int]
    prediction_error: float


class LeaderState(NamedTuple):
    """The leader row as operators see it. `age_s` is since the last sign of life, by the database's clock."""

    term: Term
    holder: str
    is_paused: bool
    pause_reason: str | None
    queue_mode: str
    preemption: bool | None
    reservations: int | None
    status: LeaderStatus
    at: datetime
    age_s: float


class SchedulerSwitches(NamedTuple):
    """The settings of the scheduler that operators have made; None for the last two is what its own settings say."""

    is_paused: bool
    pause_reason: str | None
    queue_mode: str
    preemption: bool | None
    reservations: int | None


class SchedulerSwitchChanges(TypedDict, total=False):
    """The changes that operators make to the scheduler."""

    is_paused: bool
    pause_reason: str | None
    queue_mode: str
    preemption: bool | None
    reservations: int | None


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


def standing(tx: Connection) -> LeaderState:
    """Return who leads, since when nothing was heard of it, and what operators have set."""
    return records.read_one(LeaderState, tx.execute(_STANDING))


def lock_switches(tx: Connection) -> SchedulerSwitches:
    """Lock what operators set of the scheduler, and return it."""
    return records.read_one(SchedulerSwitches, tx.execute(_LOCK_SWITCHES))


def switch(tx: Connection, switches: SchedulerSwitches) -> None:
    """Write what operators set of the scheduler; the leader reads it with its next tick."""
    tx.execute(_SWITCH, switches._asdict())
