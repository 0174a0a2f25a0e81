"""Executions ahead of room: given to their node, which starts them by itself and says so afterwards, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, Epoch, ExecutionId, JobId, NodeId
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.lifecycle.moves import EXECUTION_MOVES, ExecutionEvent
from scheduler.rules.lifecycle.outcome import StopReason
from scheduler.store.executions import claims
from scheduler.store.executions.live_rows import not_released

# What holds room and has not been claimed goes first: the node would not know of it, and start others in its room.
_HAND_OUT = text("""
    UPDATE executions x
    SET status = :target, claim_token = v.token, last_modified = now(), moved_xid = pg_current_xact_id()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:tokens AS text[])) AS v (id, attempt, token)
    WHERE x.id = v.id
      AND x.id = ANY(:ids)
      AND x.attempt = v.attempt
      AND x.node_id = :node_id
      AND x.node_epoch = :epoch
      AND x.cancel_requested IS NULL
      AND x.is_ahead
      AND x.status = ANY(:sources)
      AND NOT EXISTS (
          SELECT FROM executions o
          WHERE o.node_id = :node_id AND o.released_at IS NULL AND o.status = 'QUEUED' AND NOT o.is_ahead
      )
    RETURNING x.id
""")

_START = text(f"""
    UPDATE executions x
    SET status = :target, started = GREATEST(x.created, now() - make_interval(secs => v.ago)),
        cancel_requested = NULLIF(x.cancel_requested, 'recalled'),
        last_modified = now(), moved_xid = pg_current_xact_id()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:tokens AS text[]), CAST(:agos AS float8[]))
         AS v (id, attempt, token, ago)
    WHERE x.id = v.id
      AND x.id = ANY(:ids)
      AND x.attempt = v.attempt
      AND x.node_id = :node_id
      AND x.claim_token = v.token
      AND {not_released("x")}
      AND x.status = ANY(:sources)
    RETURNING x.id
""")  # noqa: S608 - our own text

# One start of a node after another: two calls of it, of which one was thought lost, would each count without the other.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('start', :node_id))")

_FREE = text("""
    SELECT n.cpus - COALESCE(h.cpus, 0) AS cpus, n.mem - COALESCE(h.mem, 0) AS mem, n.disk - COALESCE(h.disk, 0) AS disk,
           n.custom, h.customs
    FROM nodes n
    LEFT JOIN (
        SELECT node_id, sum(cpus)::bigint AS cpus, sum(mem)::bigint AS mem, sum(disk)::bigint AS disk,
               jsonb_agg(custom) FILTER (WHERE custom IS NOT NULL) AS customs
        FROM executions
        WHERE node_id = :node_id AND released_at IS NULL
          AND (status = 'RUNNING' OR status = 'QUEUED' AND NOT is_ahead)
        GROUP BY node_id
    ) AS h ON h.node_id = n.id
    WHERE n.id = :node_id
""")

_NEEDS = text("SELECT id, cpus, mem, disk, custom FROM executions WHERE id = ANY(:ids)")


_RECALL = """
    UPDATE executions
    SET cancel_requested = :reason, last_modified = now(), moved_xid = pg_current_xact_id()
    WHERE {} = ANY(:ids)
      AND {}
      AND is_ahead
      AND status IN ('QUEUED', 'AHEAD')
      AND cancel_requested IS NULL
    RETURNING (SELECT name FROM nodes WHERE nodes.id = executions.node_id) AS node
"""
_RECALL_SOME = text(_RECALL.format("id", not_released("executions")))
_RECALL_OF_JOBS = text(_RECALL.format("job_id", "released_at IS NULL"))

# What nobody has claimed needs nobody's answer.
_RECALLED = text("""
    SELECT id FROM (SELECT id, status, cancel_requested FROM executions WHERE released_at IS NULL OFFSET 0) AS live
    WHERE status = 'QUEUED' AND cancel_requested = 'recalled'
    LIMIT :limit
""")


def hand_out(
    tx: Connection, placements: Sequence[tuple[ExecutionId, Attempt, str]], *, node_id: NodeId, epoch: Epoch
) -> set[ExecutionId]:
    """Give each (execution, attempt, token) to this node, which may start it from now on; return the ids that it got.

    None is given while the node has placements with room that it has not claimed.
    """
    if not placements:
        return set()
    parameters = claims.parameters(EXECUTION_MOVES[ExecutionEvent.HAND_OUT], placements, node_id, epoch)
    return set(tx.execute(_HAND_OUT, parameters).scalars())


def start(
    tx: Connection, starts: Sequence[tuple[ExecutionId, Attempt, str, float]], *, node_id: NodeId
) -> set[ExecutionId]:
    """Note that the node has started these (execution, attempt, token, seconds ago); return the ids that run now.

    Only as many as there is room for by our own books, in this order.
    """
    if not starts:
        return set()
    tx.execute(_ALONE, {"node_id": node_id})
    fitting = _fitting(tx, [one[0] for one in starts], node_id)
    starts = [one for one in starts if one[0] in fitting]
    move = EXECUTION_MOVES[ExecutionEvent.START]
    parameters = {
        "ids": [one[0] for one in starts],
        "attempts": [one[1] for one in starts],
        "tokens": [one[2] for one in starts],
        "agos": [one[3] for one in starts],
        "node_id": node_id,
        "target": move.target,
        "sources": sorted(move.sources),
    }
    return set(tx.execute(_START, parameters).scalars()) if starts else set()


def recall(tx: Connection, ids: Sequence[ExecutionId]) -> list[str]:
    """Ask their nodes to give back those of these executions that have not started; return the names of the nodes."""
    parameters = {"ids": list(ids), "reason": StopReason.RECALLED}
    return sorted(set(tx.execute(_RECALL_SOME, parameters).scalars()))


def recall_of_jobs(tx: Connection, job_ids: Sequence[JobId]) -> list[str]:
    """Ask for what these jobs have waiting ahead of room; return the names of the nodes."""
    parameters = {"ids": list(job_ids), "reason": StopReason.RECALLED}
    return sorted(set(tx.execute(_RECALL_OF_JOBS, parameters).scalars()))


def recalled(tx: Connection, limit: int) -> list[ExecutionId]:
    """Return what was recalled before any node had claimed it."""
    return list(tx.execute(_RECALLED, {"limit": limit}).scalars())


def _fitting(tx: Connection, ids: Sequence[ExecutionId], node_id: NodeId) -> set[ExecutionId]:
    """Return those that fit beside what runs on the node and what was placed there with room, each beside the one before."""
    needs = {
        row.id: _resources(row.cpus, row.mem, row.disk, row.custom) for row in tx.execute(_NEEDS, {"ids": list(ids)})
    }
    row = tx.execute(_FREE, {"node_id": node_id}).one_or_none()
    if row is None:
        return set()
    free = _resources(row.cpus, row.mem, row.disk, row.custom)
    for custom in row.customs or ():
        free = free.subtract(_resources(0, 0, 0, custom))
    found: set[ExecutionId] = set()
    for one in ids:
        if one in needs and needs[one].fits(free):
            free = free.subtract(needs[one])
            found.add(one)
    return found


def _resources(cpus: int, mem: int, disk: int, custom: Mapping[str, int] | None) -> Resources:
    return Resources(cpus, mem, disk, tuple(sorted(custom.items())) if custom else ())
