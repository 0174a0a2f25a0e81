"""Executions: claim, end, withdraw; each is one guarded statement for many. Room is derived from unreleased rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import orjson
from sqlalchemy import Connection, Row, TextClause, text

from scheduler.identifiers import Attempt, Epoch, ErrorId, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.gangs import Member
from scheduler.rules.lifecycle.moves import EXECUTION_MOVES, ExecutionEvent, ExecutionStatus
from scheduler.rules.lifecycle.outcome import StopReason
from scheduler.store import records
from scheduler.store.executions.live_rows import not_released


@dataclass(frozen=True, slots=True)
class LockedExecution:
    """The facts that decide an execution's next move, read under the lock of its job."""

    id: ExecutionId
    job_id: JobId
    attempt: Attempt
    node_id: NodeId
    node_epoch: Epoch
    status: ExecutionStatus
    is_ahead: bool
    claim_token: str | None
    digest: str | None
    cancel_requested: StopReason | None
    preempted_for: JobId | None
    lease_s: float
    released: bool


PhaseColumns: TypeAlias = Mapping[str, float | int | list[str] | None]
"""The times and exit codes of phases by column name, and the `arguments` of the program as run."""


@dataclass(frozen=True, slots=True)
class ExecutionEnd:
    """How one execution ended: so many seconds ago, and when it began, where that was not told before."""

    execution_id: ExecutionId
    attempt: Attempt
    error_id: ErrorId | None = None
    message: str | None = None
    digest: str | None = None
    phases: PhaseColumns | None = None
    usage: str | None = None
    results: str | None = None
    started_ago_s: float | None = None
    ended_ago_s: float = 0.0


class ClaimedExecution(NamedTuple):
    """An execution that a node has claimed, started or not, and not ended, with the token it was claimed with."""

    id: ExecutionId
    attempt: Attempt
    claim_token: str


class NodeInstruction(NamedTuple):
    """The news of one execution for its node, with the next heartbeat: to stop it, or that it was placed there."""

    id: ExecutionId
    attempt: Attempt
    status: str
    cancel_requested: str | None
    cancel_grace_s: float | None


class NodeNews(NamedTuple):
    """What is new for a node. `is_suspected`: failed launches are held against it."""

    instructions: Sequence[NodeInstruction] = ()
    is_draining: bool = False
    is_suspected: bool = False


_READ = """
    SELECT id, job_id, attempt, node_id, node_epoch, status, is_ahead, claim_token, digest, cancel_requested, preempted_for, lease_s,
           released_at IS NOT NULL AS released
    FROM executions
    WHERE id = ANY(:ids)
    ORDER BY id
"""
_LOCK = text(f"{_READ} FOR NO KEY UPDATE")
_READ_ONLY = text(_READ)

_PHASES = (
    "pre_started", "pre_completed", "pre_exit_code",
    "job_started", "job_completed", "job_exit_code",
    "post_started", "post_completed", "post_exit_code",
)  # fmt: skip


def _phase_source(name: str) -> str:
    column = f"v.phases ->> '{name}'"
    return f"CAST({column} AS int)" if name.endswith("exit_code") else f"to_timestamp(CAST({column} AS float8))"


_END = text(f"""
    UPDATE executions x
    SET status = :target, error_id = v.error_id, message = v.message, digest = v.digest,
        usage = v.usage, results = v.results,
        {", ".join(f"{name} = {_phase_source(name)}" for name in _PHASES)},
        arguments = COALESCE(v.phases -> 'arguments', x.arguments),
        started = CASE WHEN v.started_ago IS NULL OR x.started IS NOT NULL AND NOT x.is_ahead THEN x.started
                       ELSE GREATEST(x.created, now() - make_interval(secs => v.started_ago)) END,
        ended = GREATEST(x.created, CASE WHEN NOT x.is_ahead THEN x.started END,
                         now() - make_interval(secs => v.ended_ago)),
        released_at = now(), last_modified = now(), moved_xid = pg_current_xact_id()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:errors AS bigint[]), CAST(:messages AS text[]),
                CAST(:digests AS text[]), CAST(:phases AS jsonb[]), CAST(:usages AS jsonb[]), CAST(:results AS jsonb[]),
                CAST(:started AS float8[]), CAST(:ended AS float8[]))
         AS v (id, attempt, error_id, message, digest, phases, usage, results, started_ago, ended_ago)
    WHERE x.id = v.id
      AND x.id = ANY(:ids)
      AND x.attempt = v.attempt
      AND {not_released("x")}
      AND x.status = ANY(:sources)
    RETURNING x.id
""")  # noqa: S608 - the only text put in are our own column names

# A beat waits for nobody: an execution that is being moved keeps what it had, and its end says all of it.
_NOTE_PHASES = text(f"""
    UPDATE executions x
    SET {", ".join(f"{name} = COALESCE({_phase_source(name)}, x.{name})" for name in _PHASES)},
        arguments = COALESCE(v.phases -> 'arguments', x.arguments), last_modified = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:phases AS jsonb[]), CAST(:tokens AS text[]))
         AS v (id, attempt, phases, token)
    WHERE x.id = v.id
      AND x.attempt = v.attempt
      AND x.node_id = :node_id AND (x.claim_token = v.token OR :by_token AND v.token = '')
      AND x.status = 'RUNNING'
      AND x.id IN (
          SELECT id FROM executions
          WHERE id = ANY(:ids) AND node_id = :node_id AND released_at IS NULL
          FOR NO KEY UPDATE SKIP LOCKED
      )
""")  # noqa: S608 - likewise

_REQUEST_CANCEL = text("""
    UPDATE executions
    SET cancel_requested = :reason, cancel_grace_s = :grace_s, last_modified = now(), moved_xid = pg_current_xact_id()
    WHERE job_id = ANY(:job_ids)
      AND released_at IS NULL
      AND status IN ('RUNNING', 'AHEAD')
      AND (cancel_requested IS NULL OR cancel_requested = 'recalled')
    RETURNING (SELECT name FROM nodes WHERE nodes.id = executions.node_id) AS node
""")

_REQUEST_STOP = text(f"""
    UPDATE executions
    SET cancel_requested = :reason, last_modified = now(), moved_xid = pg_current_xact_id()
    WHERE id = ANY(:ids)
      AND {not_released("executions")}
      AND status = 'RUNNING'
      AND cancel_requested IS NULL
    RETURNING (SELECT name FROM nodes WHERE nodes.id = executions.node_id) AS node
""")  # noqa: S608 - our own text

_MEMBERS = text("""
    SELECT x.id, x.job_id, x.attempt, x.member, x.node_id, x.status, x.released_at IS NOT NULL AS released,
           x.cancel_requested IS NOT NULL AS asked, extract(epoch FROM x.ended)::float8 AS ended, x.error_id, x.message
    FROM unnest(CAST(:jobs AS bigint[]), CAST(:attempts AS int[])) AS v (job_id, attempt)
    JOIN executions x ON x.job_id = v.job_id AND x.attempt = v.attempt
    ORDER BY x.id
    FOR NO KEY UPDATE OF x
""")

_UNCLAIMED_OF_JOBS = text("""
    SELECT id, attempt FROM executions
    WHERE job_id = ANY(:job_ids) AND released_at IS NULL AND status = 'QUEUED'
    ORDER BY id
""")

# What is live is looked through, which is little; by age alone everything that ever ran would be.
_LATE = text("""
    SELECT id, node_id
    FROM (SELECT id, node_id, status, created FROM executions WHERE released_at IS NULL OFFSET 0) AS live
    WHERE status = 'QUEUED'
      AND created < now() - make_interval(secs => :deadline_s)
    LIMIT :limit
""")

_OF_NODE = text("""
    SELECT id FROM executions
    WHERE node_id = :node_id AND released_at IS NULL
    ORDER BY id
""")

_RUNNING_ON = text("""
    SELECT id, attempt, claim_token FROM executions
    WHERE node_id = :node_id AND released_at IS NULL AND status IN ('RUNNING', 'AHEAD')
""")

_NEWS = text("""
    SELECT n.is_draining, n.launch_failures > 0 OR n.launch_suspects <> '{}' AS is_suspected,
           x.id, x.attempt, x.status, x.cancel_requested, x.cancel_grace_s
    FROM nodes n
    LEFT JOIN LATERAL (
        SELECT id, attempt, status, cancel_requested, cancel_grace_s
        FROM executions
        WHERE node_id = n.id AND released_at IS NULL AND (status = 'QUEUED' OR cancel_requested IS NOT NULL)
        ORDER BY id
        LIMIT 5000
    ) AS x ON true
    WHERE n.id = :node_id
""")


def lock(tx: Connection, ids: Iterable[ExecutionId]) -> dict[ExecutionId, LockedExecution]:
    """Lock these executions (after their jobs) and return what decides their next move."""
    return _read(tx, _LOCK, ids)


def read(tx: Connection, ids: Iterable[ExecutionId]) -> dict[ExecutionId, LockedExecution]:
    """Return the same without a lock.

    This is for a caller that holds none of their jobs: the rest of a gang may be locked in any order.
    """
    return _read(tx, _READ_ONLY, ids)


def end(tx: Connection, event: ExecutionEvent, ends: Sequence[ExecutionEnd]) -> set[ExecutionId]:
    """End and release executions by one event; return the ids that ended now (a repeat returns nothing)."""
    if not ends:
        return set()
    move = EXECUTION_MOVES[event]
    parameters = {
        "ids": [e.execution_id for e in ends],
        "attempts": [e.attempt for e in ends],
        "errors": [e.error_id for e in ends],
        "messages": [e.message for e in ends],
        "digests": [e.digest for e in ends],
        "phases": [_json(e.phases or {}) for e in ends],
        "usages": [e.usage for e in ends],
        "results": [e.results for e in ends],
        "started": [e.started_ago_s for e in ends],
        "ended": [e.ended_ago_s for e in ends],
        "target": move.target,
        "sources": sorted(move.sources),
    }
    return set(tx.execute(_END, parameters).scalars())


def note_phases(
    tx: Connection,
    node_id: NodeId,
    phases: Sequence[tuple[ExecutionId, Attempt, str, PhaseColumns]],
    *,
    by_token: bool,
) -> None:
    """Write which phases of a node's running executions have begun and ended; one that is locked is passed over.

    Each comes with the token of its claim; with `by_token` it may be empty.
    """
    if phases:
        parameters = {
            "ids": [execution_id for execution_id, _, _, _ in phases],
            "attempts": [attempt for _, attempt, _, _ in phases],
            "tokens": [token for _, _, token, _ in phases],
            "phases": [_json(columns) for _, _, _, columns in phases],
            "node_id": node_id,
            "by_token": by_token,
        }
        tx.execute(_NOTE_PHASES, parameters)


def withdraw(tx: Connection, placements: Iterable[tuple[ExecutionId, Attempt]], why: str) -> set[ExecutionId]:
    """End placements (execution, attempt) that no node has claimed; return the ids of the executions that ended now."""
    return give_back(tx, [ExecutionEnd(number, attempt, message=why) for number, attempt in placements])


def give_back(tx: Connection, ends: Sequence[ExecutionEnd]) -> set[ExecutionId]:
    """End executions that were never started: unclaimed, or ahead of room; return the ids that ended now."""
    return end(tx, ExecutionEvent.TAKE_BACK, ends)


def request_cancel(
    tx: Connection, job_ids: Sequence[JobId], *, reason: StopReason = StopReason.CANCELED, grace_s: float | None = None
) -> list[str]:
    """Ask that the running executions of these jobs be stopped; return the names of the nodes to tell."""
    parameters = {"job_ids": list(job_ids), "reason": reason, "grace_s": grace_s}
    return sorted(set(tx.execute(_REQUEST_CANCEL, parameters).scalars()))


def request_stop(tx: Connection, ids: Sequence[ExecutionId], *, reason: StopReason) -> list[str]:
    """Ask that these running executions be stopped and given back; return the names of the nodes to tell."""
    return sorted(set(tx.execute(_REQUEST_STOP, {"ids": list(ids), "reason": reason}).scalars()))


def members(tx: Connection, attempts: Mapping[JobId, Attempt]) -> dict[JobId, list[Member]]:
    """Lock all executions of an attempt, by job, and return them by job; the caller holds the locks of the jobs."""
    found: dict[JobId, list[Member]] = {job_id: [] for job_id in attempts}
    for row in tx.execute(_MEMBERS, {"jobs": list(attempts), "attempts": list(attempts.values())}):
        found[row.job_id].append(Member(**{**row._mapping, "status": ExecutionStatus(row.status)}))  # noqa: SLF001
    return found


def unclaimed_of_jobs(tx: Connection, job_ids: Sequence[JobId]) -> list[ExecutionEnd]:
    """Return the placements of these jobs that no node has claimed."""
    return [ExecutionEnd(row.id, row.attempt) for row in tx.execute(_UNCLAIMED_OF_JOBS, {"job_ids": list(job_ids)})]


def late(tx: Connection, *, deadline_s: float, limit: int) -> dict[ExecutionId, NodeId]:
    """Return placements older than the deadline that no node has claimed, and the node of each."""
    return {row.id: row.node_id for row in tx.execute(_LATE, {"deadline_s": deadline_s, "limit": limit})}


def of_node(tx: Connection, node_id: NodeId) -> list[ExecutionId]:
    """Return every unreleased execution of a node."""
    return list(tx.execute(_OF_NODE, {"node_id": node_id}).scalars())


def running_on(tx: Connection, node_id: NodeId) -> list[ClaimedExecution]:
    """Return the executions that a node has claimed and not ended."""
    return records.read_all(ClaimedExecution, tx.execute(_RUNNING_ON, {"node_id": node_id}))


def news(tx: Connection, node_id: NodeId) -> NodeNews:
    """Return what the answer to a node's heartbeat says: executions to stop, placements it has not claimed yet, and whether it drains."""
    rows = tx.execute(_NEWS, {"node_id": node_id}).all()
    found = [NodeInstruction(*row[2:]) for row in rows if row.id is not None]
    return NodeNews(found, is_draining=rows[0].is_draining, is_suspected=rows[0].is_suspected) if rows else NodeNews()


def _read(tx: Connection, statement: TextClause, ids: Iterable[ExecutionId]) -> dict[ExecutionId, LockedExecution]:
    rows = tx.execute(statement, {"ids": sorted(set(ids))})
    return {row.id: _locked(row) for row in rows}


def _locked(row: Row[tuple[object, ...]]) -> LockedExecution:
    asked = row.cancel_requested
    read = {"status": ExecutionStatus(row.status), "cancel_requested": None if asked is None else StopReason(asked)}
    return LockedExecution(**{**row._mapping, **read})  # noqa: SLF001


def _json(value: PhaseColumns) -> str:
    return orjson.dumps(value).decode()
