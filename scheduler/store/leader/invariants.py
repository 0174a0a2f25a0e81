"""The invariants: rules that hold for the rows at every moment, as queries that return each row which breaks one. They only read.

Each check is one statement, so it sees one moment of the database even while everything moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, text

from scheduler.rules.lifecycle.moves import FINAL_JOB, JOB_MOVES, LIVE_EXECUTION, NEW_ROUND
from scheduler.store.needs.verdicts import OVERLOOKED


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: its number in the protocol, what it says, and the query of its violations as (subject, detail)."""

    number: str
    says: str
    sql: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not as it must be."""

    number: str
    says: str
    subject: str
    detail: str


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


_PARTS = {"{final}": _words(FINAL_JOB), "{live}": _words(LIVE_EXECUTION), "{new_round}": _words(NEW_ROUND)}

# What waits ahead of room holds none.
_PARTS["{holds}"] = "x.released_at IS NULL AND (x.status = 'RUNNING' OR x.status = 'QUEUED' AND NOT x.is_ahead)"

# History is judged for jobs that changed of late; what is live is judged whole.
_PARTS["{recent}"] = (
    "(CAST(:hours AS float8) IS NULL OR j.last_modified >= now() - make_interval(secs => :hours * 3600))"
)

CHECKS: tuple[Check, ...] = (
    Check(
        "I2",
        "an idempotency key stands for jobs of its own project, and no job for two keys",
        """
        SELECT 'key ' || i.key AS subject, 'job ' || u.job_id AS detail
        FROM idempotency i
        CROSS JOIN LATERAL unnest(i.job_ids) AS u (job_id)
        LEFT JOIN jobs j ON j.id = u.job_id AND j.project_id = i.project_id
        WHERE j.id IS NULL
          AND NOT EXISTS (SELECT FROM purges p WHERE p.project_id = i.project_id AND p.ids @> u.job_id)
          AND (CAST(:hours AS float8) IS NULL OR i.created >= now() - make_interval(secs => :hours * 3600))
        UNION ALL
        SELECT 'job ' || u.job_id, string_agg(i.key, ', ')
        FROM idempotency i CROSS JOIN LATERAL unnest(i.job_ids) AS u (job_id)
        WHERE CAST(:hours AS float8) IS NULL OR i.created >= now() - make_interval(secs => :hours * 3600)
        GROUP BY u.job_id HAVING count(*) > 1
        """,
    ),
    Check(
        "I3",
        "a job is started no more often than it may, and is charged once for each attempt of which something was started",
        """
        SELECT 'job ' || j.id AS subject,
               format('%s tries of %s, %s forgiven, %s started', j.num_exes, j.max_tries, j.forgiven, x.started) AS detail
        FROM jobs j
        CROSS JOIN LATERAL (
            SELECT count(DISTINCT attempt) FILTER (WHERE started IS NOT NULL) AS started
            FROM executions WHERE job_id = j.id
        ) AS x
        WHERE {recent} AND (j.num_exes > j.max_tries + j.forgiven OR j.num_exes <> x.started)
        """,
    ),
    Check(
        "I4",
        "a job has a live execution of one attempt at most, one of each member, and one exactly while it is RUNNING; "
        "an old one only while it is stopped",
        """
        SELECT 'job ' || j.id AS subject, format('%s at attempt %s, live: %s', j.status, j.attempt,
               COALESCE(string_agg(format('%s %s at %s', x.id, x.status, x.attempt), ', '), 'none')) AS detail
        FROM jobs j
        LEFT JOIN executions x ON x.job_id = j.id AND x.released_at IS NULL
        WHERE j.status = 'RUNNING' OR x.id IS NOT NULL
        GROUP BY j.id
        HAVING count(x.id) > j.members OR count(x.id) <> count(DISTINCT x.member) OR min(x.attempt) <> max(x.attempt)
            OR j.status = 'RUNNING' AND (count(x.id) = 0 OR max(x.attempt) <> j.attempt)
            OR j.status <> 'RUNNING' AND NOT bool_and(x.cancel_requested IS NOT NULL AND x.status IN ('RUNNING', 'AHEAD'))
        """,
    ),
    Check(
        "I5",
        "a final state is left only for a new round, or from FAILED to CANCELED",
        """
        SELECT 'job ' || e.job_id AS subject, format('%s from %s to %s', e.event, e."from", e."to") AS detail
        FROM events e JOIN jobs j ON j.id = e.job_id
        WHERE {recent} AND e."from" IN ({final}) AND e."to" <> e."from"
          AND NOT (e.event IN ({new_round}) AND e."from" <> 'COMPLETED')
          AND NOT (e.event = 'CANCEL' AND e."from" = 'FAILED')
        """,
    ),
    Check(
        "I6",
        "a COMPLETED job has the result of its last attempt, which was claimed; only such results are visible",
        """
        SELECT 'job ' || j.id AS subject, format('attempt %s, result of %s', j.attempt, j.result_attempt) AS detail
        FROM jobs j
        LEFT JOIN executions x ON x.job_id = j.id AND x.attempt = j.result_attempt
        WHERE {recent} AND j.status = 'COMPLETED' AND j.forced_by IS NULL
          AND NOT EXISTS (SELECT FROM job_cache c WHERE c.job_id = j.id AND c.reused_from IS NOT NULL)
          AND (j.result_attempt IS DISTINCT FROM j.attempt OR x.status IS DISTINCT FROM 'COMPLETED' OR x.claim_token IS NULL)
        UNION ALL
        SELECT 'file ' || f.id, format('job %s is %s', j.id, j.status)
        FROM files f JOIN executions x ON x.id = f.execution_id JOIN jobs j ON j.id = x.job_id
        WHERE {recent} AND f.is_published AND (j.status <> 'COMPLETED' OR j.result_attempt <> x.attempt)
        """,
    ),
    Check(
        "I7",
        "what was cancelled is CANCELED, unless a new round was begun",
        """
        SELECT 'job ' || j.id AS subject, format('%s after a cancel', j.status) AS detail
        FROM jobs j
        CROSS JOIN LATERAL (
            SELECT e.event FROM events e
            WHERE e.job_id = j.id AND e.event IN ('CANCEL', {new_round})
            ORDER BY e.id DESC LIMIT 1
        ) AS last
        WHERE {recent} AND last.event = 'CANCEL' AND j.status <> 'CANCELED'
        """,
    ),
    Check(
        "I9",
        "what was placed on a node since it said what it has fits into that, and so does what it started ahead",
        """
        SELECT 'node ' || n.name AS subject, format('%s: %s of %s', a.name, a.held, a.has) AS detail
        FROM nodes n
        CROSS JOIN LATERAL (
            SELECT 'cpus' AS name, sum(x.cpus) AS held, n.cpus AS has, max(x.created) FILTER (WHERE x.cpus > 0) AS newest
            FROM executions x WHERE x.node_id = n.id AND {holds}
            UNION ALL
            SELECT 'mem', sum(x.mem), n.mem, max(x.created) FILTER (WHERE x.mem > 0)
            FROM executions x WHERE x.node_id = n.id AND {holds}
            UNION ALL
            SELECT 'disk', sum(x.disk), n.disk, max(x.created) FILTER (WHERE x.disk > 0)
            FROM executions x WHERE x.node_id = n.id AND {holds}
            UNION ALL
            SELECT c.key, sum(c.value::bigint), COALESCE((n.custom ->> c.key)::bigint, 0), max(x.created)
            FROM executions x CROSS JOIN LATERAL jsonb_each_text(x.custom) AS c
            WHERE x.node_id = n.id AND {holds}
            GROUP BY c.key
        ) AS a
        WHERE a.held > a.has AND a.newest >= n.registered
        """,
    ),
    Check(
        "I10",
        "room is held only on nodes that are there, under their present epoch, and given back with the end",
        """
        SELECT 'execution ' || x.id AS subject,
               format('%s on node %s, %s, epoch %s of %s', x.status, n.name, n.state, x.node_epoch, n.epoch) AS detail
        FROM executions x JOIN nodes n ON n.id = x.node_id
        WHERE x.released_at IS NULL AND (n.state <> 'READY' OR x.node_epoch <> n.epoch)
        UNION ALL
        SELECT 'execution ' || x.id, format('%s, but released', x.status)
        FROM executions x JOIN jobs j ON j.id = x.job_id
        WHERE {recent} AND x.released_at IS NOT NULL AND x.status IN ({live})
        UNION ALL
        SELECT 'node ' || n.name, format('epoch %s, its beats are of %s', n.epoch, b.epoch)
        FROM nodes n JOIN beats b ON b.node_id = n.id
        WHERE b.epoch <> n.epoch
        """,
    ),
    Check(
        "I11",
        "attempt numbers rise by one with each placement, which is of all members of a job",
        """
        SELECT 'job ' || j.id AS subject, format('attempt %s, %s executions up to %s', j.attempt, x.count, x.last) AS detail
        FROM jobs j
        CROSS JOIN LATERAL (
            SELECT count(*), count(DISTINCT attempt) AS tries, COALESCE(max(attempt), 0) AS last,
                   COALESCE(max(member), 0) AS highest
            FROM executions WHERE job_id = j.id
        ) AS x
        WHERE {recent}
          AND (x.count <> j.attempt * j.members OR x.tries <> j.attempt OR x.last <> j.attempt OR x.highest >= j.members)
        UNION ALL
        SELECT 'job ' || job_id, format('event %s: attempt %s after %s', id, attempt, before)
        FROM (
            SELECT e.job_id, e.id, e.attempt, lag(e.attempt) OVER (PARTITION BY e.job_id ORDER BY e.id) AS before
            FROM events e JOIN jobs j ON j.id = e.job_id
            WHERE {recent}
        ) AS told
        WHERE attempt < before
        """,
    ),
    Check(
        "I15",
        "the events of a job, one after another, lead to where it stands, by moves that there are",
        """
        WITH moves AS (
            SELECT m.event, m.source, m.target
            FROM jsonb_to_recordset(CAST(:moves AS jsonb)) AS m (event text, source text, target text)
        ), told AS (
            SELECT e.*, j.status, lag(e."to") OVER w AS before, lead(e.id) OVER w AS next
            FROM events e JOIN jobs j ON j.id = e.job_id
            WHERE {recent}
            WINDOW w AS (PARTITION BY e.job_id ORDER BY e.id)
        )
        SELECT 'job ' || job_id AS subject,
               format('event %s: %s from %s to %s, after %s, and is %s', id, event, "from", "to", before, status) AS detail
        FROM told
        WHERE before <> "from"
           OR next IS NULL AND "to" <> status
           OR "from" <> "to" AND NOT EXISTS (
                SELECT FROM moves m WHERE (m.event, m.source, m.target) = (told.event, told."from", told."to"))
        UNION ALL
        SELECT 'job ' || j.id, format('%s, but nothing was ever told of it', j.status)
        FROM jobs j
        WHERE {recent} AND (j.attempt > 0 OR j.status NOT IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED'))
          AND NOT EXISTS (SELECT FROM events e WHERE e.job_id = j.id)
        """,
    ),
    Check(
        "I19",
        "what waits ahead of room is of a node that runs ahead, and was neither started nor charged",
        """
        SELECT 'execution ' || x.id AS subject, format('%s on node %s, started %s', x.status, n.name, x.started) AS detail
        FROM executions x JOIN nodes n ON n.id = x.node_id JOIN jobs j ON j.id = x.job_id
        WHERE x.released_at IS NULL AND x.is_ahead AND x.status IN ('QUEUED', 'AHEAD')
          AND (x.started IS NOT NULL OR j.members > 1 OR j.status = 'RUNNING' AND j.started IS NOT NULL)
        UNION ALL
        SELECT 'execution ' || x.id, 'withdrawn, but started'
        FROM executions x JOIN jobs j ON j.id = x.job_id
        WHERE {recent} AND x.status = 'WITHDRAWN' AND x.started IS NOT NULL
        """,
    ),
    Check(
        "I18",
        "a gang of which a member has ended otherwise than well is being stopped as a whole, and no gang is half ended",
        """
        SELECT 'job ' || j.id AS subject,
               format('attempt %s: %s', j.attempt,
                      string_agg(format('member %s %s%s', x.member, x.status,
                                        CASE WHEN x.cancel_requested IS NULL THEN '' ELSE ' and told to stop' END), ', '
                                 ORDER BY x.member)) AS detail
        FROM jobs j
        JOIN executions x ON x.job_id = j.id AND x.attempt = j.attempt
        WHERE j.members > 1 AND j.status = 'RUNNING'
        GROUP BY j.id
        HAVING bool_and(x.released_at IS NOT NULL)
            OR bool_or(x.released_at IS NOT NULL AND x.status <> 'COMPLETED')
               AND bool_or(x.released_at IS NULL AND (x.status = 'QUEUED' OR x.cancel_requested IS NULL))
        """,
    ),
    Check(
        "I-W1",
        "a job needs only jobs that were there before it, and is of the same project",
        """
        SELECT 'job ' || n.job_id AS subject, 'needs ' || n.needs_id AS detail
        FROM job_needs n LEFT JOIN jobs j ON j.id = n.job_id LEFT JOIN jobs p ON p.id = n.needs_id
        WHERE n.needs_id >= n.job_id OR j.id IS NULL OR p.project_id <> j.project_id
        """,
    ),
    Check(
        "I-W11",
        "a job that has the results of another is of its project, did the same, and has what that one made",
        """
        SELECT 'job ' || c.job_id AS subject, 'has the results of job ' || c.reused_from AS detail
        FROM job_cache c
        JOIN jobs j ON j.id = c.job_id AND {recent} AND j.status = 'COMPLETED' AND j.forced_by IS NULL AND j.num_exes = 0
        JOIN job_specs q ON q.job_id = c.job_id
        JOIN job_cache o ON o.job_id = c.reused_from
        JOIN job_specs s ON s.job_id = o.job_id
        WHERE c.key <> o.key OR c.parts <> o.parts OR c.project_id <> o.project_id OR o.reused_from IS NOT NULL
           OR (q.results -> 'output_data') IS DISTINCT FROM (s.results -> 'output_data')
           OR (q.results -> 'properties') IS DISTINCT FROM (s.results -> 'properties')
        """,
    ),
    Check(
        "I-W3",
        "a job that waits for its needs, or is blocked by them, stands where they put it; what ended has reached its followers",
        f"SELECT 'job ' || id AS subject, detail FROM ({OVERLOOKED}) AS overlooked",  # noqa: S608 - our own text
    ),
)

_MOVES = orjson.dumps(
    [
        {"event": event, "source": source, "target": move.target}
        for event, move in JOB_MOVES.items()
        for source in sorted(move.sources)
    ]
).decode()


def violations(tx: Connection, check: Check, *, hours: float | None, limit: int = 20) -> list[Violation]:
    """Return up to `limit` violations; `hours` bounds how old the changes are that history is judged by, None = all."""
    sql = check.sql
    for name, part in _PARTS.items():
        sql = sql.replace(name, part)
    parameters = {"hours": hours, "limit": limit, "moves": _MOVES}
    rows = tx.execute(text(f"SELECT * FROM ({sql}) AS found LIMIT :limit"), parameters)  # noqa: S608 - our own text
    return [Violation(check.number, check.says, row.subject, row.detail) for row in rows]


def take_time(tx: Connection, seconds: float) -> None:
    """Let the statements of this transaction run so long."""
    tx.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
