"""Reading what programs printed: the pieces of chosen streams and phases as one text, from any byte on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ExecutionId, ProjectId
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

_STATEMENTS = {False: text(_READ.format(order=_ONE)), True: text(_READ.format(order=_BOTH))}

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
    return records.read_all(PieceRow, tx.execute(_STATEMENTS[len(streams) > 1], parameters))


def execution(tx: Connection, execution_id: ExecutionId) -> PrintingExecution | None:
    """Return an execution whose output is wanted, None when there is none."""
    return records.read_optional(PrintingExecution, tx.execute(_EXECUTION, {"id": execution_id}))
