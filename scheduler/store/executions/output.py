"""The output of programs, and the progress that they report."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import Connection, text

from scheduler.errors import InvalidInput
from scheduler.identifiers import NodeId
from scheduler.wire import OutputChunk, Progress

_APPEND = text("""
    INSERT INTO output_chunks (execution_id, phase, stream, "offset", at, data)
    SELECT v.execution_id, v.phase, v.stream, v.start, to_timestamp(v.at), v.data
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:phases AS text[]), CAST(:streams AS text[]),
                CAST(:offsets AS bigint[]), CAST(:ats AS float8[]), CAST(:data AS bytea[]), CAST(:tokens AS text[]))
         WITH ORDINALITY AS v (execution_id, attempt, phase, stream, start, at, data, token, number)
    JOIN executions x ON x.id = v.execution_id AND x.attempt = v.attempt
    WHERE x.node_id = :node_id AND (x.claim_token = v.token OR :by_token AND v.token = '')
    ORDER BY v.number
    ON CONFLICT DO NOTHING
""")

# A beat waits for nobody: a job that is being moved keeps the progress it had, until the program says more.
_PROGRESS = text("""
    UPDATE jobs j
    SET percent = COALESCE(v.percent, j.percent), note = COALESCE(v.note, j.note), last_modified = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:percents AS float8[]), CAST(:notes AS text[]),
                CAST(:tokens AS text[]))
         AS v (execution_id, attempt, percent, note, token)
    JOIN executions x ON x.id = v.execution_id AND x.id = ANY(:ids) AND x.member = 0
    WHERE j.id = x.job_id
      AND x.node_id = :node_id AND (x.claim_token = v.token OR :by_token AND v.token = '')
      AND j.id IN (
          SELECT id FROM jobs
          WHERE id IN (SELECT job_id FROM executions WHERE id = ANY(:ids) AND node_id = :node_id)
          FOR NO KEY UPDATE SKIP LOCKED
      )
      AND j.attempt = v.attempt
      AND j.status = 'RUNNING'
""")


def append(tx: Connection, node_id: NodeId, chunks: Sequence[OutputChunk], *, by_token: bool) -> None:
    """Keep these pieces of a node; those that are there already, or are not of a claim with their token, are passed over.

    With `by_token` a piece may be without one.
    """
    kept = [(chunk, _decoded(chunk)) for chunk in chunks]
    kept = [(chunk, data) for chunk, data in kept if data]
    if not kept:
        return
    parameters = {
        "ids": [chunk.execution_id for chunk, _ in kept],
        "attempts": [chunk.attempt for chunk, _ in kept],
        "phases": [chunk.phase for chunk, _ in kept],
        "streams": [chunk.stream for chunk, _ in kept],
        "offsets": [chunk.offset for chunk, _ in kept],
        "ats": [chunk.at for chunk, _ in kept],
        "data": [data for _, data in kept],
        "tokens": [chunk.token for chunk, _ in kept],
        "node_id": node_id,
        "by_token": by_token,
    }
    tx.execute(_APPEND, parameters)


def progress(tx: Connection, node_id: NodeId, said: Sequence[Progress], *, by_token: bool) -> None:
    """Write the progress of a node's executions into their jobs; a job that is locked is passed over.

    Member 0 speaks for a gang. What is not of a claim with its token is passed over; with `by_token` it may be without one.
    """
    parameters = {
        "ids": [one.execution_id for one in said],
        "attempts": [one.attempt for one in said],
        "percents": [one.percent for one in said],
        "notes": [one.note for one in said],
        "tokens": [one.token for one in said],
        "node_id": node_id,
        "by_token": by_token,
    }
    tx.execute(_PROGRESS, parameters)


def to_json(value: Mapping[str, object]) -> str:
    """Return compact JSON text for a document column."""
    return orjson.dumps(value).decode()


def _decoded(chunk: OutputChunk) -> bytes:
    try:
        return base64.b64decode(chunk.data, validate=True)
    except binascii.Error:
        raise InvalidInput(f"the output at offset {chunk.offset} is not base64", field="data") from None
