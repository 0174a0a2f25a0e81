"""Reading what programs printed: the pieces of chosen streams and phases as one text, from any byte on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ExecutionId, JobId, ProjectId
from scheduler.store import records

PHASES = ("pre", "job", "post", "cleanup")
STREAMS = ("stdout", "stderr")

# One stream reads phase after phase; both together as the pieces arrived, so that nothing is ever put in between.
_ONE = 'array_position(CAST(:phases AS text[]), phase), "offset"'
_BOTH = "arrival"

_READ = """
    WITH pieces AS (
        SELECT phase, stream, "offset", arrival, octet_length(data) AS size,
               sum(octet_length(data)) OVER (ORDER BY {order}) - octet_length(data) AS start,
               sum(octet_length(data)) OVER () AS total
        FROM output_chunks
        WHERE execution_id = :execution_id AND phase = ANY(:phases) AND stream = ANY(:streams)
    )
    SELECT p.phase, p.stream, p."offset", p.start::bigint AS start, c.data, p.total::bigint AS total
    FROM pieces p
    JOIN output_chunks c ON c.execution_id = :execution_id AND c.phase = p.phase AND c.stream = p.stream
                        AND c."offset" = p."offset"
    WHERE p.start + p.size > GREATEST(:from, p.total - COALESCE(CAST(:tail AS bigint), p.total)) AND p.start < COALESCE(CAST(:until AS bigint), p.total)
      AND c.at >= COALESCE(CAST(:since AS timestamptz), '-infinity')
    ORDER BY p.start
    LIMIT :limit
"""

# The places of pieces without what they hold, for whoever goes through all of it.
_PLACES = """
    WITH pieces AS (
        SELECT phase, stream, "offset", octet_length(data) AS size, at,
               sum(octet_length(data)) OVER (ORDER BY {order}) - octet_length(data) AS start
        FROM output_chunks
        WHERE execution_id = :execution_id AND phase = ANY(:phases) AND stream = ANY(:streams)
    )
    SELECT phase, stream, "offset", start::bigint AS start, size, at
    FROM pieces
    WHERE start + size > :from AND at >= COALESCE(CAST(:since AS timestamptz), '-infinity')
    ORDER BY start
    LIMIT :limit
"""

_PLACES_IN_ORDER = {False: text(_PLACES.format(order=_ONE)), True: text(_PLACES.format(order=_BOTH))}

_CONTENTS = """
    SELECT c.data
    FROM unnest(CAST(:phases AS text[]), CAST(:streams AS text[]), CAST(:offsets AS bigint[]))
         WITH ORDINALITY AS v (phase, stream, start, place)
    JOIN output_chunks c ON c.execution_id = :execution_id AND c.phase = v.phase AND c.stream = v.stream
                        AND c."offset" = v.start
    ORDER BY v.place
"""

_SIZE = text("""
    SELECT COALESCE(sum(octet_length(data)), 0)::bigint
    FROM output_chunks
    WHERE execution_id = :execution_id AND phase = ANY(:phases) AND stream = ANY(:streams)
""")

_STATEMENTS = {False: _READ.format(order=_ONE), True: _READ.format(order=_BOTH)}

_TRIES = text("""
    SELECT id, attempt, member
    FROM executions
    WHERE job_id = :job_id AND output_purged IS NULL
    ORDER BY attempt DESC, member
""")

_EXECUTION = text("""
    SELECT x.status, x.job_exit_code, x.released_at IS NOT NULL AS released, j.project_id, x.output_purged
    FROM executions x JOIN jobs j ON j.id = x.job_id
    WHERE x.id = :id
""")


class PieceRow(NamedTuple):
    """One piece of output: its own `offset` in its phase and stream, its `start` in the whole that was asked for, and the size of that."""

    phase: str
    stream: str
    offset: int
    start: int
    data: bytes
    total: int


class PiecePlace(NamedTuple):
    """Where a piece is: its own `offset` in its phase and stream, its `start` in the whole that was asked for, and when it was printed."""

    phase: str
    stream: str
    offset: int
    start: int
    size: int
    at: datetime


class PrintingTry(NamedTuple):
    """An execution of a job whose output is kept."""

    id: ExecutionId
    attempt: int
    member: int


class PrintingExecution(NamedTuple):
    """An execution whose output is read. `released`: nothing more will be added; `output_purged`: since when it is kept no longer."""

    status: str
    job_exit_code: int | None
    released: bool
    project_id: ProjectId
    output_purged: datetime | None


def pieces(
    tx: Connection,
    execution_id: ExecutionId,
    *,
    streams: Sequence[str],
    phases: Sequence[str],
    start: int,
    since: datetime | None,
    limit: int,
    tail: int | None = None,
    until: int | None = None,
) -> list[PieceRow]:
    """Return up to `limit` pieces that reach beyond byte `start` of the whole, in order; those printed since a time.

    With `tail` only those that reach into so many last bytes of it; with `until` those that begin before that byte.
    """
    parameters = {
        "execution_id": execution_id,
        "streams": list(streams),
        "phases": list(phases),
        "from": start,
        "since": since,
        "limit": limit,
        "tail": tail,
        "until": until,
    }
    return records.read_marked(tx, PieceRow, 0, _STATEMENTS[len(streams) > 1], parameters, binary=True)[1]


def places(
    tx: Connection,
    execution_id: ExecutionId,
    *,
    streams: Sequence[str],
    phases: Sequence[str],
    start: int,
    limit: int,
    since: datetime | None = None,
) -> list[PiecePlace]:
    """Return where up to `limit` pieces are that reach beyond byte `start` of the whole, in order; those printed since a time."""
    parameters = {
        "execution_id": execution_id,
        "streams": list(streams),
        "phases": list(phases),
        "from": start,
        "since": since,
        "limit": limit,
    }
    return records.read_all(PiecePlace, tx.execute(_PLACES_IN_ORDER[len(streams) > 1], parameters))


def size(tx: Connection, execution_id: ExecutionId, *, streams: Sequence[str], phases: Sequence[str]) -> int:
    """Return how many bytes were printed there."""
    parameters = {"execution_id": execution_id, "streams": list(streams), "phases": list(phases)}
    return int(tx.execute(_SIZE, parameters).scalar_one())


def contents(tx: Connection, execution_id: ExecutionId, chosen: Sequence[PiecePlace]) -> list[bytes]:
    """Return what these pieces hold, in their order; fewer where some were purged meanwhile."""
    parameters = {
        "execution_id": execution_id,
        "phases": [place.phase for place in chosen],
        "streams": [place.stream for place in chosen],
        "offsets": [place.offset for place in chosen],
    }
    return [bytes(data) for (data,) in records.run(tx, _CONTENTS, parameters, binary=True)]


def execution(tx: Connection, execution_id: ExecutionId) -> PrintingExecution | None:
    """Return an execution whose output is wanted, None when there is none."""
    return records.read_optional(PrintingExecution, tx.execute(_EXECUTION, {"id": execution_id}))


def tries(tx: Connection, job_id: JobId) -> list[PrintingTry]:
    """Return the executions of a job whose output is kept: the newest try first, member by member."""
    return records.read_all(PrintingTry, tx.execute(_TRIES, {"job_id": job_id}))
