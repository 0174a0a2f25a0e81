"""Launches that failed, held against nodes: those with several get no new work for a while."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from scheduler.identifiers import NodeId
from scheduler.rules.cluster.avoidance import AVOIDED_FROM

_MOST_SUSPECTS = 30
"""Programs remembered of a node: enough to see that several projects and job types are among them."""

_COUNT = text("""
    UPDATE nodes
    SET launch_failures = LEAST(launch_failures + :count, :avoided_from), launch_failed_at = now(), last_modified = now()
    WHERE id = :id
""")

# Programs begin with the ids of project and revision. Commands of one project may all be one user's mistake, so they speak
# against a node only while most of the fleet is not under the same suspicion, and somewhere is left to go.
_SUSPECT = text("""
    UPDATE nodes n
    SET launch_suspects = s.programs, launch_failed_at = now(), last_modified = now(),
        launch_failures = CASE WHEN s.kinds >= :avoided_from
                                 OR cardinality(s.programs) >= :avoided_from AND fleet.good > 0 AND 3 * fleet.avoided < fleet.nodes
                               THEN :avoided_from ELSE n.launch_failures END
    FROM (
        SELECT array_agg(one) AS programs, count(DISTINCT substring(one FROM '^[0-9]+/[0-9]+')) AS kinds
        FROM (
            SELECT DISTINCT one
            FROM nodes, unnest(launch_suspects || CAST(:programs AS text[])) AS one
            WHERE id = :id
            LIMIT :most
        ) AS known
    ) AS s
    CROSS JOIN (
        SELECT count(*) AS nodes, count(*) FILTER (WHERE launch_failures >= :avoided_from) AS avoided,
               count(*) FILTER (
                   WHERE id <> :id AND launch_failures < :avoided_from AND degraded IS NULL
                     AND NOT (is_paused OR is_draining OR is_leaving OR is_silent)
               ) AS good
        FROM nodes
        WHERE state = 'READY' AND is_active
    ) AS fleet
    WHERE n.id = :id
""")

_CLEAR = text("""
    UPDATE nodes
    SET launch_failures = 0, launch_suspects = '{}'
    WHERE id = :id AND (launch_failures > 0 OR launch_suspects <> '{}')
""")

_FORGIVE = text("""
    UPDATE nodes
    SET launch_failures = GREATEST(launch_failures - 1, 0), launch_suspects = launch_suspects[2:], launch_failed_at = now()
    WHERE id IN (
        SELECT id FROM nodes
        WHERE (launch_failures > 0 OR launch_suspects <> '{}')
          -- A time to come is of a clock that was set back.
          AND launch_failed_at NOT BETWEEN now() - make_interval(secs => :after_s) AND now()
        FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id
""")


def count(tx: Connection, node_id: NodeId, failed: int) -> None:
    """Count launches that failed, and placements that were not claimed; a node with several gets no new work."""
    if failed:
        tx.execute(_COUNT, {"id": node_id, "count": failed, "avoided_from": AVOIDED_FROM})


def suspect(tx: Connection, node_id: NodeId, programs: Iterable[str]) -> None:
    """Remember programs (`specs.programs`) that a node could not start; several different ones speak against the node."""
    found = sorted(set(programs))
    if found:
        parameters = {"id": node_id, "programs": found, "avoided_from": AVOIDED_FROM, "most": _MOST_SUSPECTS}
        tx.execute(_SUSPECT, parameters)


def clear(tx: Connection, node_id: NodeId) -> None:
    """Begin to count again from zero: a launch has worked there, or an operator says that it would."""
    tx.execute(_CLEAR, {"id": node_id})


def forgive(tx: Connection, *, after_s: float) -> int:
    """Take one failure off each node whose last is so long ago, so that it is tried again; return how many."""
    return len(tx.execute(_FORGIVE, {"after_s": after_s}).all())
