"""Submissions that may come again: jobs with a mark, a label that says what was asked for, until somebody looks at them."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId

_FIND = text("""
    SELECT j.id
    FROM job_specs q
    JOIN jobs j ON j.id = q.job_id
    WHERE q.labels IS NOT NULL AND q.labels @> CAST(:label AS jsonb)
      AND j.created <= now() - make_interval(secs => :least) AND j.created > now() - make_interval(secs => :most)
    ORDER BY j.id DESC
    LIMIT 1
""")

_FORGET = text("UPDATE job_specs SET labels = NULLIF(labels - :name, '{}') WHERE job_id = :id")


def find(tx: Connection, name: str, value: str, *, least_s: float, most_s: float) -> JobId | None:
    """Return the newest job with this mark whose age in seconds is between the two; None without one."""
    label = orjson.dumps({name: value}).decode()
    return tx.execute(_FIND, {"label": label, "least": least_s, "most": most_s}).scalar()


def forget(tx: Connection, job_id: JobId, name: str) -> None:
    """Take the mark from a job; safe to repeat."""
    tx.execute(_FORGET, {"id": job_id, "name": name})
