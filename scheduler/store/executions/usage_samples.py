"""What executions used while they ran, a bounded number of points each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from scheduler.identifiers import ExecutionId, NodeId
from scheduler.rules.lifecycle.usage import EDGES, EVERY_S, MOST_POINTS, StoredSample
from scheduler.store import records
from scheduler.wire import UsageSample

# A sample's slot follows from our clock and the execution's start: whatever a node says, there are no more slots than
# these. Where the execution has come to a new level, the points of the levels below are merged into it. An execution that
# is being deleted is passed over, and one that ended long ago is heard no more.
_ADD = text("""
    WITH said AS (
        SELECT x.id AS execution_id, width_bucket(a.life_s, CAST(:edges AS float8[])) AS level,
               GREATEST(a.life_s - v.ago_s, 0) AS age_s, v.ran_s, v.cpu_s, v.mem_mib, v.disk_mib
        FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS int[]), CAST(:tokens AS text[]), CAST(:agos AS float8[]),
                    CAST(:rans AS float8[]), CAST(:cpus AS float8[]), CAST(:mems AS float8[]), CAST(:disks AS float8[]))
             AS v (id, attempt, token, ago_s, ran_s, cpu_s, mem_mib, disk_mib)
        JOIN executions x ON x.id = v.id AND x.attempt = v.attempt
        CROSS JOIN LATERAL (SELECT CAST(EXTRACT(EPOCH FROM now() - x.started) AS float8) AS life_s) AS a
        WHERE x.id = ANY(:ids) AND x.node_id = :node_id AND x.claim_token = v.token AND a.life_s >= 0
          AND (x.released_at IS NULL OR x.released_at > now() - make_interval(secs => :late_s))
        FOR KEY SHARE OF x SKIP LOCKED
    ), levels AS (
        SELECT DISTINCT execution_id, level FROM said
    ), finer AS (
        DELETE FROM usage_samples s USING levels l
        WHERE s.execution_id = l.execution_id AND s.level < l.level
        RETURNING s.execution_id, l.level, s.age_s, s.ran_s, s.cpu_s, s.mem_mib, s.disk_mib
    ), slots AS (
        SELECT execution_id, level, CAST(floor(age_s / (:every_s * (1::bigint << level))) AS int) AS slot,
               max(age_s) AS age_s, max(ran_s) AS ran_s, max(cpu_s) AS cpu_s, max(mem_mib) AS mem_mib, max(disk_mib) AS disk_mib
        FROM (SELECT * FROM said UNION ALL SELECT * FROM finer) AS every
        GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
    )
    INSERT INTO usage_samples AS s (execution_id, level, slot, age_s, ran_s, cpu_s, mem_mib, disk_mib)
    SELECT execution_id, level, slot, age_s, ran_s, cpu_s, mem_mib, disk_mib FROM slots
    ON CONFLICT (execution_id, level, slot) DO UPDATE
    SET age_s = GREATEST(s.age_s, excluded.age_s), ran_s = GREATEST(s.ran_s, excluded.ran_s),
        cpu_s = GREATEST(s.cpu_s, excluded.cpu_s), mem_mib = GREATEST(s.mem_mib, excluded.mem_mib),
        disk_mib = GREATEST(s.disk_mib, excluded.disk_mib)
""")

_LATE_S = 600
"""Samples that come so long after their execution's end are not its own."""

_READ = text("""
    SELECT level, age_s, ran_s, cpu_s, mem_mib, disk_mib
    FROM usage_samples
    WHERE execution_id = :execution_id
    ORDER BY age_s
    LIMIT :limit
""")


def add(tx: Connection, node_id: NodeId, said: Sequence[UsageSample], now: float) -> None:
    """Keep these samples of a node, whose clock is at `now`. A repeat changes nothing.

    What is not of a claim of this node with its token is passed over.
    """
    parameters = {
        "ids": [one.execution_id for one in said],
        "attempts": [one.attempt for one in said],
        "tokens": [one.token for one in said],
        "agos": [max(0.0, now - one.at) for one in said],
        "rans": [one.seconds for one in said],
        "cpus": [one.cpu_s for one in said],
        "mems": [one.mem_mib for one in said],
        "disks": [one.disk_mib for one in said],
        "node_id": node_id,
        "edges": list(EDGES),
        "every_s": EVERY_S,
        "late_s": _LATE_S,
    }
    tx.execute(_ADD, parameters)


def read(tx: Connection, execution_id: ExecutionId) -> list[StoredSample]:
    """Return the samples of an execution, the oldest first."""
    found = tx.execute(_READ, {"execution_id": execution_id, "limit": MOST_POINTS})
    return records.read_all(StoredSample, found)
