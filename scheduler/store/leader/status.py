"""How the whole installation stands, in a few aggregates: jobs, nodes, what they have and what is taken."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.rules.cluster.avoidance import AVOIDED_FROM
from scheduler.store import records

OLDEST_OF = 1_000
"""The oldest queued job is looked for among so many that have been unchanged longest: exact, but for a longer queue whose oldest jobs were changed of late."""

# Counted in indexes alone, and the held ones in an index of theirs: with a million jobs, to look at each of the open ones took ten times as long.
_OPEN = text("""
    WITH counted AS (
        SELECT status, count(*) AS count
        FROM jobs
        WHERE status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
          AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        GROUP BY status
    ), held AS (
        SELECT status, count(*) AS count
        FROM jobs
        WHERE is_held AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        GROUP BY status
    ), longest AS (
        SELECT status, queued
        FROM jobs
        WHERE status = 'QUEUED' AND NOT is_held AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        ORDER BY last_modified, id
        LIMIT :oldest_of
    )
    SELECT c.status, c.count, COALESCE(h.count, 0) AS held,
           extract(epoch FROM now() - o.queued)::float8 AS oldest_s
    FROM counted c
    LEFT JOIN held h ON h.status = c.status
    LEFT JOIN (SELECT status, min(queued) AS queued FROM longest GROUP BY status) AS o ON o.status = c.status
""")

_ENDED = text("""
    SELECT status, count(*) AS count
    FROM jobs
    WHERE status IN ('COMPLETED', 'FAILED', 'CANCELED')
      AND last_modified >= now() - make_interval(secs => :within_s)
      AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
    GROUP BY status
""")

# A node is counted once, under the first of these words that holds.
_NODES = text("""
    SELECT p.name AS pool, n.word, count(*) AS count,
           count(*) FILTER (WHERE n.has_room) AS usable,
           COALESCE(sum(n.cpus) FILTER (WHERE n.has_room), 0)::bigint AS cpus,
           COALESCE(sum(n.mem) FILTER (WHERE n.has_room), 0)::bigint AS mem,
           COALESCE(sum(n.disk) FILTER (WHERE n.has_room), 0)::bigint AS disk,
           sum(n.launch_failures)::bigint AS launch_failures
    FROM (
        SELECT *, state = 'READY' AND is_active AND NOT is_silent AS has_room,
               CASE WHEN NOT is_active THEN 'DEPRECATED'
                    WHEN state <> 'READY' THEN state
                    WHEN is_silent THEN 'OFFLINE'
                    WHEN is_paused THEN 'PAUSED'
                    WHEN is_draining OR is_leaving THEN 'DRAINING'
                    WHEN degraded IS NOT NULL THEN 'DEGRADED'
                    WHEN launch_failures >= :avoided_from THEN 'AVOIDED'
                    ELSE 'READY' END AS word
        FROM nodes
        WHERE state <> 'GONE'
    ) AS n
    JOIN pools p ON p.id = n.pool_id
    GROUP BY p.name, n.word
    ORDER BY p.name, n.word
""")

_SKEWED = text("""
    SELECT n.name, (b.load ->> 'clock')::float8 - extract(epoch FROM b.at)::float8 AS skew_s
    FROM nodes n JOIN beats b ON b.node_id = n.id
    WHERE n.state = 'READY' AND NOT n.is_silent
      AND abs((b.load ->> 'clock')::float8 - extract(epoch FROM b.at)) >= :told_from_s
    ORDER BY n.name
    LIMIT 5
""")

_LIVE = text("""
    SELECT p.name AS pool, count(*) AS placed, count(*) FILTER (WHERE x.status = 'RUNNING') AS running,
           sum(x.cpus)::bigint AS cpus, sum(x.mem)::bigint AS mem, sum(x.disk)::bigint AS disk
    FROM executions x
    JOIN nodes n ON n.id = x.node_id
    JOIN pools p ON p.id = n.pool_id
    WHERE x.released_at IS NULL
    GROUP BY p.name
    ORDER BY p.name
""")

_GIVEN_OUT = text("SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence('jobs', 'id')), 0)::bigint")


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """How many jobs have one status that is not final, how many of them are held, and the age of the oldest queued."""

    status: str
    count: int
    held: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class _EndedJobs:
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class NodesOfPool:
    """How many nodes of a pool are in one state (`word`), and what those of them that can be reached have, in thousandths."""

    pool: str
    word: str
    count: int
    usable: int
    cpus: int
    mem: int
    disk: int
    launch_failures: int


@dataclass(frozen=True, slots=True)
class SkewedNode:
    """A node whose wall clock is so many seconds ahead of the database's; behind it, if negative."""

    name: str
    skew_s: float


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """The amounts of a pool that placements hold, in thousandths; `running` of them have been claimed."""

    pool: str
    placed: int
    running: int
    cpus: int
    mem: int
    disk: int


def open_jobs(tx: Connection, *, project_id: ProjectId | None) -> list[OpenJobs]:
    """Return, per status that is not final, how many jobs have it."""
    return records.read_all(OpenJobs, tx.execute(_OPEN, {"oldest_of": OLDEST_OF, "project_id": project_id}))


def ended_jobs(tx: Connection, *, project_id: ProjectId | None, within_s: float) -> dict[str, int]:
    """Return how many jobs have ended of late, by status."""
    rows = records.read_all(_EndedJobs, tx.execute(_ENDED, {"project_id": project_id, "within_s": within_s}))
    return {row.status: row.count for row in rows}


def nodes(tx: Connection) -> list[NodesOfPool]:
    """Return, per pool and state, how many nodes there are and what those that can be reached have."""
    return records.read_all(NodesOfPool, tx.execute(_NODES, {"avoided_from": AVOIDED_FROM}))


def skewed(tx: Connection, told_from_s: float) -> list[SkewedNode]:
    """Return some nodes whose wall clocks are that far from the database's, or further."""
    return records.read_all(SkewedNode, tx.execute(_SKEWED, {"told_from_s": told_from_s}))


def live(tx: Connection) -> list[PoolUsage]:
    """Return, per pool, what placements hold."""
    return records.read_all(PoolUsage, tx.execute(_LIVE))


def job_ids_given_out(tx: Connection) -> int:
    """Return how many job ids were ever given out: all submissions, and the few that were rolled back."""
    return int(tx.execute(_GIVEN_OUT).scalar_one())
