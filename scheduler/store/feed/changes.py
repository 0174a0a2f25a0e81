"""The change feed: the jobs that were made, moved, held or released after a position, in an order that loses none.

Rows are found by the transaction that moved them last. Transactions commit in another order than they got their numbers,
so a position remembers which older ones were still open when it was taken: their rows come later, and are read then.

    seen for good      open then: read when they commit     not seen yet
    ───────────────────────●──────────●────────────────┃──────────────────▶ transactions
                                                       (xid, id)

A job that changed twice is read once, as it is now. After a restart of the database, which may give numbers anew, the feed
goes back by a minute, so that a job may be read twice, and none is missed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, JobTypeId, ProjectId
from scheduler.store import records

MOST_OPEN = 2_000
"""More transactions than a server can have open at one time."""

_LARGEST = 2**63 - 1
_LIFE_CHARACTERS = 8
_NOTHING_OF_IT = -1

# A restart loses what was not on disk, less than a second; and a transaction is over within half a minute.
_LIFE = "concat(pg_postmaster_start_time(), ' ', pg_stat_get_bgwriter_stat_reset_time()) AS life"
_COLUMNS = "id, moved_xid, project_id, job_type_id, status"

_READ = text(f"""
    WITH s AS MATERIALIZED (SELECT pg_current_snapshot() AS seen)
    SELECT CAST(s.seen AS text) AS seen, {_LIFE}, extract(epoch FROM clock_timestamp())::float8 AS at,
           COALESCE(c.id, 0) AS id, CAST(CAST(c.moved_xid AS text) AS bigint) AS xid, c.project_id, c.job_type_id, c.status
    FROM s LEFT JOIN LATERAL (
        (SELECT {_COLUMNS} FROM jobs
         WHERE moved_xid = ANY(CAST(:open AS xid8[])) AND (moved_xid <> CAST(:part_xid AS xid8) OR id > :part_id)
         ORDER BY moved_xid, id LIMIT :limit)
        UNION ALL
        (SELECT {_COLUMNS} FROM jobs
         WHERE (moved_xid, id) > (CAST(:xid AS xid8), :id) AND moved_xid < pg_snapshot_xmax(s.seen)
         ORDER BY moved_xid, id LIMIT :limit)
        ORDER BY moved_xid, id LIMIT :limit
    ) AS c ON true
    ORDER BY c.moved_xid, c.id
""")  # noqa: S608 - our own text

_NOW = text(f"""
    SELECT CAST(pg_current_snapshot() AS text) AS seen, {_LIFE}, extract(epoch FROM clock_timestamp())::float8 AS at
""")  # noqa: S608 - our own text

# In the order of time, which is that of the numbers but for seconds: the first ones have the smallest.
_FIRST_OF_LIFE = text("""
    SELECT min(CAST(CAST(moved_xid AS text) AS bigint)) FROM (
        SELECT moved_xid FROM jobs
        WHERE last_status_change >= to_timestamp(:at) - interval '1 minute'
          AND moved_xid < pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY last_status_change, id
        LIMIT 10000
    ) AS first
""")


class MovedJob(NamedTuple):
    """A job that has changed: enough to tell whom it concerns."""

    id: JobId
    project_id: ProjectId
    job_type_id: JobTypeId
    status: str


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """A place in the feed.

    Seen is what lies before (`xid`, `id`), but for the transactions in `open`, which are read when they commit; of the one
    in `part` only ids beyond the given one are left.
    `life` names the server's life that the numbers are of, `at` is the server's time in seconds.
    """

    life: str
    at: float
    xid: int
    id: int = _NOTHING_OF_IT
    open: tuple[int, ...] = ()
    part: tuple[int, int] | None = None

    def written(self) -> str:
        """Return it as the opaque text that clients are given."""
        body = orjson.dumps([self.life, self.at, self.xid, self.id, self.open, self.part])
        return base64.urlsafe_b64encode(body).decode().rstrip("=")


def read_position(cursor: str) -> FeedPosition | None:
    """Return the position that a text stands for; None for a text that is none."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        life, at, xid, last, still_open, part = orjson.loads(raw)
    except (ValueError, TypeError, binascii.Error):
        return None
    numbers = [xid, last + 1, *still_open, *(part or ())] if _are_lists(last, still_open, part) else [None]
    if not isinstance(life, str) or len(life) > _LIFE_CHARACTERS or type(at) is not float or not abs(at) < _LARGEST:
        return None
    if any(type(one) is not int or not 0 <= one <= _LARGEST for one in numbers):
        return None
    return FeedPosition(life, at, xid, last, tuple(still_open), None if part is None else (part[0], part[1]))


def _are_lists(last: object, still_open: object, part: object) -> bool:
    """Tell whether the parts of a text are of the kinds of a position: anything may stand in one that somebody made up."""
    if type(last) is not int or not isinstance(still_open, list) or len(still_open) > MOST_OPEN:
        return False
    return part is None or (isinstance(part, list) and len(part) == 2)  # noqa: PLR2004 - a transaction and an id


class ReadChanges(NamedTuple):
    """Changes in the order of the feed, each with the position behind it; `position` is behind all, `is_all` that nothing is left."""

    jobs: list[MovedJob]
    after: list[FeedPosition]
    position: FeedPosition
    is_all: bool


class _Moment(NamedTuple):
    seen: str
    life: str
    at: float


class _Row(NamedTuple):
    """What was read at a moment; where nothing was, the only row has no job, whose id is then 0."""

    seen: str
    life: str
    at: float
    id: JobId
    xid: int
    project_id: ProjectId
    job_type_id: JobTypeId
    status: str


def now(tx: Connection) -> FeedPosition:
    """Return the position at which everything that is committed has been seen."""
    return _end(records.read_one(_Moment, tx.execute(_NOW)))


def read(tx: Connection, position: FeedPosition, limit: int) -> ReadChanges:
    """Return up to `limit` changes after a position; reads no more rows than that."""
    rows = _rows(tx, position, limit)
    if _short(rows[0].life) != position.life:
        position = _in_new_life(tx, position, rows[0])
        rows = _rows(tx, position, limit)
    moment = rows[0]
    found = [row for row in rows if row.id]
    is_all = len(found) < limit
    jobs = [MovedJob(row.id, row.project_id, row.job_type_id, row.status) for row in found]
    still_open = _open(moment.seen)
    after = [_behind(position, moment, still_open, row) for row in found]
    end = _end(_Moment(moment.seen, moment.life, moment.at))
    return ReadChanges(jobs, after, end if is_all else after[-1], is_all)


def _rows(tx: Connection, position: FeedPosition, limit: int) -> list[_Row]:
    part_xid, part_id = position.part or (0, _NOTHING_OF_IT)
    parameters = {
        "open": [str(one) for one in position.open],
        "part_xid": str(part_xid),
        "part_id": part_id,
        "xid": str(position.xid),
        "id": position.id,
        "limit": limit,
    }
    return records.read_all(_Row, tx.execute(_READ, parameters))


def _behind(position: FeedPosition, moment: _Row, still_open: tuple[int, ...], row: _Row) -> FeedPosition:
    """Return the position behind one of the rows that were read after `position`."""
    here = replace(position, life=_short(moment.life), at=moment.at)
    if row.xid < position.xid or row.xid in position.open:
        left = tuple(one for one in position.open if one >= row.xid or one in still_open)
        return replace(here, open=left, part=(row.xid, row.id))
    left = tuple(one for one in still_open if one < row.xid)
    return replace(here, xid=row.xid, id=row.id, open=left, part=None)


def _end(moment: _Moment) -> FeedPosition:
    xmax = int(moment.seen.split(":")[1])
    return FeedPosition(_short(moment.life), moment.at, xmax, open=_open(moment.seen))


def _in_new_life(tx: Connection, position: FeedPosition, moment: _Row) -> FeedPosition:
    """Return where to go on after the database has started anew: a minute before what was seen last."""
    first = tx.execute(_FIRST_OF_LIFE, {"at": min(position.at, moment.at)}).scalar()
    end = _end(_Moment(moment.seen, moment.life, moment.at))
    return end if first is None else replace(end, xid=int(first), open=tuple(one for one in end.open if one < first))


def _open(seen: str) -> tuple[int, ...]:
    listed = seen.split(":")[2]
    return tuple(int(one) for one in listed.split(",")) if listed else ()


def _short(life: str) -> str:
    return hashlib.sha256(life.encode()).hexdigest()[:_LIFE_CHARACTERS]
