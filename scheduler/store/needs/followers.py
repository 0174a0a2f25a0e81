"""Followers that only some jobs keep waiting: those that nothing else could let start."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId

# A need that is not satisfied yet and is not for one of these jobs alone keeps its follower waiting by itself.
_ONLY_THESE = text("""
    SELECT DISTINCT f.id
    FROM (
        SELECT n.job_id FROM job_needs n
        WHERE n.needs_id = ANY(:ids) AND n.group_id IS NULL AND n.after IN ('OK', 'START') AND n.settled IS DISTINCT FROM 'OK'
        UNION
        SELECT n.job_id FROM group_members m JOIN job_needs n ON n.group_id = m.group_id
        WHERE m.job_id = ANY(:ids) AND n.after IN ('OK', 'START') AND n.settled IS DISTINCT FROM 'OK'
    ) AS c
    JOIN jobs f ON f.id = c.job_id AND f.status IN ('PENDING', 'BLOCKED') AND f.id <> ALL(:known)
    WHERE NOT EXISTS (
        SELECT FROM job_needs o
        WHERE o.job_id = f.id AND o.settled IS DISTINCT FROM 'OK'
          AND CASE WHEN o.group_id IS NULL THEN o.needs_id <> ALL(:known)
                   ELSE EXISTS (SELECT FROM group_members m
                                WHERE m.group_id = o.group_id AND m.outcome IS DISTINCT FROM 'COMPLETED'
                                  AND m.job_id <> ALL(:known)) END)
    ORDER BY f.id
    LIMIT :limit
""")


def only_waiting_for(tx: Connection, ids: Collection[JobId], most: int) -> list[JobId]:
    """Return the jobs that wait for these and for nothing else, with those that wait for them alone in turn; up to `most`."""
    known, fresh = set(ids), set(ids)
    found: list[JobId] = []
    while fresh and len(found) < most:
        asked = {"ids": sorted(fresh), "known": sorted(known), "limit": most - len(found)}
        fresh = set(tx.execute(_ONLY_THESE, asked).scalars())
        found += sorted(fresh)
        known |= fresh
    return found
