"""Jobs: lock them, and move them: the only code that changes a job's status.

`move` is one guarded statement for many jobs. Its guard comes from the table in `rules.lifecycle`: a step whose job
stands elsewhere, or whose attempt is not the live one, changes nothing and is simply not among the ids returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, CursorResult, TextClause, text

from scheduler.identifiers import Attempt, ErrorId, ExecutionId, JobId, NodeId, ProjectId, RevisionId
from scheduler.rules.lifecycle.moves import JOB_MOVES, TOLD, JobEvent, JobStatus
from scheduler.store import large_batches


@dataclass(frozen=True, slots=True)
class JobMove:
    """One job to move, at the attempt the mover speaks for; the rest is taken where the event needs it.

    With `charge` its try is charged by the same statement: for COMPLETE, of a job that is no gang.
    """

    job_id: JobId
    attempt: Attempt
    node_id: NodeId | None = None
    error_id: ErrorId | None = None
    delay_s: float = 0.0
    max_tries: int | None = None
    reason: str | None = None
    charge: bool = False


@dataclass(frozen=True, slots=True)
class LockedJob:
    """The facts that decide a job's next move, read under its row lock. `charged`: a node has claimed of its present attempt."""

    id: JobId
    status: JobStatus
    attempt: Attempt
    num_exes: int
    forgiven: int
    max_tries: int
    withdrawals: int
    members: int
    charged: bool
    project_id: ProjectId
    revision_id: RevisionId
    followers: int
    of_data_set: bool

    @property
    def is_gang(self) -> bool:
        """Whether each of its attempts is several executions, which start and end together."""
        return self.members > 1


_READ = """
    SELECT id, status, attempt, num_exes, forgiven, max_tries, withdrawals, members,
           started IS NOT NULL AS charged, project_id, revision_id, followers,
           EXISTS (SELECT FROM data_set_jobs d WHERE d.job_id = jobs.id) AS of_data_set
    FROM jobs
    WHERE id = ANY(:ids)
    ORDER BY id
    FOR NO KEY UPDATE
"""
_LOCK, _LOCK_IDLE = text(_READ), text(f"{_READ} SKIP LOCKED")
_OF = _READ.replace("id = ANY(:ids)", "id IN (SELECT job_id FROM executions WHERE id = ANY(:ids))")
_LOCK_OF, _LOCK_IDLE_OF = text(_OF), text(f"{_OF} SKIP LOCKED")

_NEW_ROUND = """round = j.round + 1, max_tries = j.num_exes - j.forgiven + COALESCE(v.max_tries, 1),
        started = NULL, ended = NULL, error_id = NULL, node_id = NULL, withdrawals = 0, is_skipped = false,
        not_before = CASE WHEN j.requested_not_before > now() THEN j.requested_not_before END,
        avoid_nodes = '{}', percent = NULL, note = NULL"""

# What each event changes beside the status; `v` is the step. Who is withdrawn or given back, by no fault of its own, keeps its place
# among those that wait; a try that failed takes a new one. A job that is requeued waits as it had asked to: until its time, and while it is held.
_CHANGES: dict[JobEvent, str] = {
    JobEvent.RECEIVE: "not_before = CASE WHEN j.not_before > now() THEN j.not_before END",
    JobEvent.REFUSE: "ended = now(), error_id = v.error_id",
    JobEvent.READY: "queued = now(), not_before = NULL",
    JobEvent.PLACE: "attempt = j.attempt + 1, node_id = v.node_id, percent = NULL, note = NULL",
    JobEvent.WITHDRAW: "node_id = NULL, started = NULL, withdrawals = j.withdrawals + 1",
    JobEvent.GIVE_BACK: "node_id = NULL, started = NULL, forgiven = j.forgiven + 1",
    JobEvent.HAND_BACK: "node_id = NULL, started = NULL",
    JobEvent.RETRY: """node_id = NULL, started = NULL, queued = now(), avoid_nodes = ARRAY[v.node_id], withdrawals = 0,
        not_before = now() + make_interval(secs => v.delay_s)""",
    JobEvent.COMPLETE: """ended = now(), result_attempt = j.attempt, percent = 100, num_exes = j.num_exes + v.charge,
        withdrawals = CASE WHEN v.charge = 1 THEN 0 ELSE j.withdrawals END,
        started = CASE WHEN v.charge = 0 THEN j.started
                       ELSE COALESCE((SELECT x.started FROM executions x
                                      WHERE x.job_id = j.id AND x.attempt = j.attempt AND x.member = 0), now()) END""",
    JobEvent.FAIL: "ended = now(), error_id = v.error_id",
    JobEvent.CANCEL: "ended = now(), error_id = NULL",
    JobEvent.REQUEUE: f"{_NEW_ROUND}, queued = now()",
    JobEvent.BLOCK: "note = NULL",
    JobEvent.UNBLOCK: "note = NULL",
    JobEvent.SKIP: "ended = now(), is_skipped = true",
    JobEvent.MISS: "ended = now(), error_id = v.error_id",
    JobEvent.RENEW: f"{_NEW_ROUND}, queued = NULL",
    JobEvent.FORCE: """round = j.round + 1, result_attempt = j.attempt, forced_by = :actor, ended = now(), error_id = NULL,
        node_id = NULL, percent = 100""",
    JobEvent.AWAIT: f"{_NEW_ROUND}, queued = NULL",
    JobEvent.EXPIRE: "ended = now(), error_id = v.error_id",
    JobEvent.REUSE: "ended = now(), result_attempt = j.attempt, percent = 100, not_before = NULL",
}

# Where jobs come from is known of an event with one source; of others it is read beside the step, by the id alone. The planner may not guess
# how many jobs stand in a status: having just seen none there, it went through all steps for each job. So the status is hidden from it.
_STEP = """unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:node_ids AS bigint[]),
                    CAST(:error_ids AS bigint[]), CAST(:delays AS float8[]), CAST(:max_tries AS int[]),
                    CAST(:reasons AS text[]), CAST(:charges AS int[]))
             AS u (id, attempt, node_id, error_id, delay_s, max_tries, reason, charge)"""
_MOVE = f"""
    WITH {{first}}v AS MATERIALIZED (
        SELECT u.*, {{before}} AS "from" FROM {_STEP}{{joined}}
    ), moved AS (
        UPDATE jobs j
        SET status = :target, {{changes}},
            last_status_change = now(), last_modified = now(), moved_xid = pg_current_xact_id()
        FROM v
        WHERE j.id = v.id
          AND j.id = ANY(:ids)
          AND j.attempt = v.attempt
          AND j.status || '' = ANY(:sources)
          {{guard}}
        RETURNING j.id, j.attempt, v.reason, v."from", j.followers{{kept}}
    ){{told}}
    INSERT INTO events (job_id, event, "from", "to", attempt, actor, reason{{kept_as}})
    SELECT moved.id, :event, moved."from", :target, moved.attempt, :actor, moved.reason{{kept_as}}
    FROM moved
    RETURNING job_id
"""  # noqa: S608 - our own text

# How long a next try is put off stands with the event, for whoever asks later where the time went.
_KEPT = {JobEvent.RETRY: ("NULLIF(v.delay_s, 0) AS delay_s", "delay_s")}

# Told in the same statement, so that no end is ever missed. A job that begins anew, or has got its input, is judged itself.
_TOLD = """, told AS (
        INSERT INTO need_changes (job_id) SELECT id FROM moved WHERE {whom} ORDER BY id
    )"""
_FOLLOWED = "followers > 0"
_WHOM = {
    JobEvent.RENEW: "true",
    JobEvent.RECEIVE: "EXISTS (SELECT FROM job_needs n WHERE n.job_id = moved.id)",
}

# Two schedulers may hold the same plan, and an earlier try may not be dead yet: placement asks once more.
# A job that somebody holds is passed over, and the next tick looks at it again. What is live is looked
# up for each job, in the order of the index that has it by jobs: as NOT EXISTS it might be joined, by reading all of it.
_FIRST = {
    JobEvent.PLACE: """free AS MATERIALIZED (
        SELECT id FROM jobs WHERE id = ANY(:ids) AND status = 'QUEUED' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), """
}
_GUARDS = {
    JobEvent.PLACE: """
          AND j.id IN (SELECT id FROM free)
          AND NOT j.is_held
          AND j.num_exes < j.max_tries + j.forgiven
          AND (SELECT x.id FROM executions x WHERE x.job_id = j.id AND x.released_at IS NULL
               ORDER BY x.member LIMIT 1) IS NULL"""
}


def _statement(event: JobEvent) -> TextClause:
    whom = _WHOM.get(event, _FOLLOWED if event in TOLD else None)
    told = "" if whom is None else _TOLD.format(whom=whom)
    source, *others = JOB_MOVES[event].sources
    before, joined = ("b.status", " JOIN jobs b ON b.id = u.id") if others else (f"'{source}'", "")
    first, guard = _FIRST.get(event, ""), _GUARDS.get(event, "")
    changes = _CHANGES[event]
    kept, kept_as = (f", {words}" if words else "" for words in _KEPT.get(event, ("", "")))
    return text(
        _MOVE.format(
            first=first,
            changes=changes,
            guard=guard,
            told=told,
            before=before,
            joined=joined,
            kept=kept,
            kept_as=kept_as,
        )
    )


_STATEMENTS: dict[JobEvent, TextClause] = {event: _statement(event) for event in JobEvent}


def lock(tx: Connection, ids: Iterable[JobId], *, wait: bool = True) -> dict[JobId, LockedJob]:
    """Lock these jobs in ascending order and return what decides their next move; unknown ids are left out.

    Without `wait` those are left out too that somebody else has locked.
    """
    return _locked(tx.execute(_LOCK if wait else _LOCK_IDLE, {"ids": sorted(set(ids))}))


def lock_of(tx: Connection, execution_ids: Iterable[ExecutionId], *, wait: bool = True) -> dict[JobId, LockedJob]:
    """Lock the jobs of these executions as `lock` does; the job rows are what a verb locks first."""
    return _locked(tx.execute(_LOCK_OF if wait else _LOCK_IDLE_OF, {"ids": sorted(set(execution_ids))}))


def _locked(rows: CursorResult[tuple[object, ...]]) -> dict[JobId, LockedJob]:
    return {row.id: LockedJob(**{**row._mapping, "status": JobStatus(row.status)}) for row in rows}  # noqa: SLF001


def move(tx: Connection, event: JobEvent, steps: Sequence[JobMove], actor: str) -> list[JobId]:
    """Move many jobs by one event, write one event row each, and return the ids that moved, in no order.

    Rows should be locked by `lock` before, in ascending order, when more than one is moved: two movers that meet
    would otherwise wait for each other.
    """
    if not steps:
        return []
    move_ = JOB_MOVES[event]
    parameters = {
        "ids": [step.job_id for step in steps],
        "attempts": [step.attempt for step in steps],
        "node_ids": [step.node_id for step in steps],
        "error_ids": [step.error_id for step in steps],
        "delays": [step.delay_s for step in steps],
        "max_tries": [step.max_tries for step in steps],
        "reasons": [step.reason for step in steps],
        "charges": [int(step.charge) for step in steps],
        "sources": sorted(move_.sources),
        "target": move_.target,
        "event": event,
        "actor": actor,
    }
    with large_batches.of(tx, len(steps)):
        return list(tx.execute(_STATEMENTS[event], parameters).scalars())


# That one member of a gang was claimed says nothing of the others: its withdrawals count until an attempt has run.
# A job that waits although a try of it begins was cancelled and requeued since that was handed out: the try belongs to an
# earlier round, and takes none from this one.
_IS_OF_OLD = "status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED')"
_CHARGE = text(f"""
    WITH charged AS (
        UPDATE jobs
        SET num_exes = num_exes + 1,
            max_tries = max_tries + CASE WHEN {_IS_OF_OLD} THEN 1 ELSE 0 END,
            withdrawals = CASE WHEN members = 1 AND NOT {_IS_OF_OLD} THEN 0 ELSE withdrawals END,
            started = CASE WHEN {_IS_OF_OLD} THEN started ELSE
                      COALESCE((SELECT x.started FROM executions x
                                WHERE x.job_id = jobs.id AND x.attempt = jobs.attempt AND x.member = 0), now()) END,
            last_modified = now()
        WHERE id = ANY(:ids)
          AND (members = 1 OR started IS NULL)
        RETURNING id, followers, {_IS_OF_OLD} AS is_of_old
    )
    INSERT INTO need_changes (job_id) SELECT id FROM charged WHERE followers > 1 AND NOT is_of_old
    RETURNING job_id
""")  # noqa: S608 - our own text

_COUNT_WITHDRAWAL = text("UPDATE jobs SET withdrawals = withdrawals + 1 WHERE id = ANY(:ids)")


def charge(tx: Connection, ids: Sequence[JobId]) -> bool:
    """Charge one try to each of these jobs, to a gang with the first claim of an attempt only; under the job locks.

    Call it after their executions were moved: the start of a job is that of its execution. A job that was requeued since may be
    tried as often as before. Return whether others wait for the start of any of them: wake the leader then, after the commit.
    """
    return bool(ids) and tx.execute(_CHARGE, {"ids": list(ids)}).first() is not None


def count_withdrawal(tx: Connection, ids: Sequence[JobId]) -> None:
    """Count a withdrawal of gangs of which a part was claimed, for they come back as given back; under the job locks."""
    if ids:
        tx.execute(_COUNT_WITHDRAWAL, {"ids": list(ids)})


_HOLD = text("""
    UPDATE jobs
    SET is_held = :held, hold_reason = :reason, last_modified = now(), moved_xid = pg_current_xact_id()
    WHERE id = ANY(:ids)
      AND is_held <> :held
      AND status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
    RETURNING id
""")


def hold(tx: Connection, ids: Sequence[JobId], *, held: bool, reason: str | None) -> list[JobId]:
    """Set or clear the hold flag; return the ids whose flag changed. Final jobs are left alone."""
    return list(tx.execute(_HOLD, {"ids": list(ids), "held": held, "reason": reason if held else None}).scalars())


_NEXT_DUE = text("""
    SELECT COALESCE(extract(epoch FROM min(not_before) - clock_timestamp())::float8, 'infinity')
    FROM jobs
    WHERE status = 'PENDING' AND not_before > now()
""")

_DUE = text("""
    SELECT id, attempt
    FROM jobs
    WHERE status = 'PENDING'
      AND not_before <= now()
      AND NOT EXISTS (SELECT FROM job_needs n WHERE n.job_id = jobs.id AND n.settled IS DISTINCT FROM 'OK')
      AND EXISTS (SELECT FROM job_plans l WHERE l.job_id = jobs.id) = :planned
    ORDER BY not_before
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
""")


def next_due_s(tx: Connection) -> float:
    """Return the seconds until the next `not_before`; infinity where there is none."""
    return float(tx.execute(_NEXT_DUE).scalar_one())


def due(tx: Connection, limit: int) -> list[JobMove]:
    """Lock and return the jobs whose `not_before` has come, and whose needs are satisfied, as steps for READY.

    Those that take something of others first are not among them: see `due_for_resolver`.
    """
    return [JobMove(row.id, row.attempt) for row in tx.execute(_DUE, {"limit": limit, "planned": False})]


def due_for_resolver(tx: Connection, limit: int) -> list[JobId]:
    """Return the jobs whose `not_before` has come, and of which the resolver has to see what they take, or whether they run."""
    return [row.id for row in tx.execute(_DUE, {"limit": limit, "planned": True})]


_RENAME = text("UPDATE jobs SET name = :name, last_modified = now() WHERE id = :id RETURNING id")


def rename(tx: Connection, job_id: JobId, name: str) -> bool:
    """Give a job another name; False when there is none."""
    return tx.execute(_RENAME, {"id": job_id, "name": name}).scalar() is not None
