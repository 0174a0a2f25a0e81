"""Claims: what was placed with room on a node becomes the node's own, and its try is charged."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from scheduler.rules.lifecycle.moves import EXECUTION_MOVES, ExecutionEvent, ExecutionStatus, Move

# A try is charged by the claim itself, to a gang with the first claim of an attempt only. That one member was claimed says
# nothing of the others: a gang's withdrawals count until an attempt has run.
_CLAIM = text("""
    WITH claimed AS (
        UPDATE executions x
        SET status = :target, claim_token = v.token, started = now(),
            last_modified = now()
        FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:tokens AS text[])) AS v (id, attempt, token)
        WHERE x.id = v.id
          AND x.id = ANY(:ids)
          AND x.attempt = v.attempt
          AND x.node_id = :node_id
          AND x.node_epoch = :epoch
          AND x.cancel_requested IS NULL
          AND NOT x.is_ahead
          AND x.status = ANY(:sources)
        RETURNING x.id, x.job_id
    ), charged AS (
        UPDATE jobs
        SET num_exes = num_exes + 1, withdrawals = CASE WHEN members = 1 THEN 0 ELSE withdrawals END,
            started = now(), last_modified = now()
        WHERE id = ANY(ARRAY(SELECT job_id FROM claimed))
          AND (members = 1 OR started IS NULL)
        RETURNING id, followers
    ), told AS (
        INSERT INTO need_changes (job_id) SELECT id FROM charged WHERE followers > 1
        RETURNING job_id
    )
    SELECT claimed.id, EXISTS (SELECT FROM told) AS awaited FROM claimed
""")


def claim(
    tx: Connection, claims: Sequence[tuple[ExecutionId, Attempt, str]], *, node_id: NodeId, epoch: Epoch
) -> tuple[set[ExecutionId], bool]:
    """Give each (execution, attempt, token) to this node and epoch by compare-and-set, and charge the tries; under the job locks.

    Return the ids that it got, and whether others wait for the start of any of their jobs: wake the leader then, after the commit.
    """
    rows = tx.execute(_CLAIM, parameters(EXECUTION_MOVES[ExecutionEvent.CLAIM], claims, node_id, epoch)).all()
    return {row.id for row in rows}, any(row.awaited for row in rows)


def parameters(
    move: Move[ExecutionStatus], claims: Sequence[tuple[ExecutionId, Attempt, str]], node_id: NodeId, epoch: Epoch
) -> dict[str, object]:
    """Return the parameters of a statement that gives executions to a node, as (execution, attempt, token) names them."""
    return {
        "ids": [c[0] for c in claims],
        "attempts": [c[1] for c in claims],
        "tokens": [c[2] for c in claims],
        "node_id": node_id,
        "epoch": epoch,
        "target": move.target,
        "sources": sorted(move.sources),
    }
