"""Why shapes waited, and from when to when: a row for each stretch of time with one main reason.

A job's own wait is read from the rows of its shape. The leader writes what has changed since it looked last, in two statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ShapeId, Term
from scheduler.store import records
from scheduler.store.leader import lease

MOST_SPANS = 5_000
"""Most rows that are kept of one shape: the oldest makes room for the newest."""

_RESUME = text("""
    UPDATE wait_spans w
    SET ended = GREATEST(w.began, LEAST(l.left_at, now()))
    FROM leader l
    WHERE w.ended IS NULL AND l.name = 'scheduler' AND l.term = :term
""")

_CLOSE = text("""
    UPDATE wait_spans w
    SET ended = GREATEST(w.began, one.at)
    FROM unnest(CAST(:shapes AS bigint[]), CAST(:moments AS timestamptz[])) AS one (shape_id, at)
    WHERE w.shape_id = one.shape_id AND w.ended IS NULL
""")

# What stands open already was written by a statement whose answer was lost.
_OPEN = text("""
    WITH opened AS (
        INSERT INTO wait_spans (shape_id, number, reason, began)
        SELECT one.shape_id,
               COALESCE((SELECT max(w.number) FROM wait_spans w WHERE w.shape_id = one.shape_id), 0) + 1,
               one.reason, one.at
        FROM unnest(CAST(:shapes AS bigint[]), CAST(:reasons AS text[]), CAST(:moments AS timestamptz[]))
             AS one (shape_id, reason, at)
        ON CONFLICT (shape_id) WHERE ended IS NULL DO NOTHING
        RETURNING shape_id, number
    )
    DELETE FROM wait_spans w USING opened
    WHERE w.shape_id = opened.shape_id AND w.number <= opened.number - :most
""")

_OF_SHAPE = text("""
    SELECT reason, began, ended
    FROM wait_spans
    WHERE shape_id = :shape_id
      AND (ended IS NULL OR ended > :since)
      AND (CAST(:until AS timestamptz) IS NULL OR began < :until)
    ORDER BY number
""")

# What has ended before the oldest job was made is of no job that there is; one that is kept for years does not keep all others' waits.
_FORGET = text("""
    DELETE FROM wait_spans w
    USING (
        SELECT shape_id, number FROM wait_spans
        WHERE ended < GREATEST(
            COALESCE((SELECT created FROM jobs ORDER BY id LIMIT 1), now()), now() - interval '90 days'
        )
        ORDER BY ended
        LIMIT :limit
    ) AS old
    WHERE w.shape_id = old.shape_id AND w.number = old.number
""")


class RecordedWait(NamedTuple):
    """A stretch of time in which jobs of a shape waited for one reason; `ended` is None while they do."""

    reason: str
    began: datetime
    ended: datetime | None


def resume(tx: Connection, term: Term) -> None:
    """End what the leader before left open, at its last sign of life: what was since then, nobody has seen."""
    tx.execute(_RESUME, {"term": term})


def write(
    tx: Connection,
    term: Term,
    closed: Mapping[ShapeId, datetime],
    opened: Mapping[ShapeId, tuple[str, datetime]],
) -> bool:
    """End stretches of shapes, and begin others; False, and nothing is written, when the term is over."""
    if not lease.fence(tx, term):
        return False
    if closed:
        tx.execute(_CLOSE, {"shapes": list(closed), "moments": list(closed.values())})
    if opened:
        reasons, moments = zip(*opened.values(), strict=True)
        columns = {"shapes": list(opened), "reasons": list(reasons), "moments": list(moments)}
        tx.execute(_OPEN, {**columns, "most": MOST_SPANS})
    return True


def of_shape(tx: Connection, shape_id: ShapeId, since: datetime, until: datetime | None) -> Sequence[RecordedWait]:
    """Return why a shape waited in a time, oldest first; at most `MOST_SPANS`."""
    return records.read_all(RecordedWait, tx.execute(_OF_SHAPE, {"shape_id": shape_id, "since": since, "until": until}))


def forget(tx: Connection, limit: int) -> int:
    """Delete what is older than the oldest job, at most so many rows; return how many."""
    return int(tx.execute(_FORGET, {"limit": limit}).rowcount)
