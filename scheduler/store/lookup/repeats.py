"""Submissions that may come again: jobs and runs with a mark that says what was asked for, until somebody looks at them.

The mark of a job is a label; that of a run stands beside what it was given.
"""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId

_LOST = ".lost"
"""What follows the name of a mark in a second one, for those whose client was gone before it was answered."""

_FIND = text("""
    SELECT j.id
    FROM job_specs q
    JOIN jobs j ON j.id = q.job_id
    WHERE q.labels IS NOT NULL AND q.labels @> CAST(:label AS jsonb)
      AND (j.created <= now() - make_interval(secs => :least) OR jsonb_exists(q.labels, :lost))
      AND j.created > now() - make_interval(secs => :most)
    ORDER BY j.id DESC
    LIMIT 1
""")

_FIND_RUN = text("""
    SELECT w.id
    FROM (SELECT id, given, created FROM workflows WHERE project_id = :project_id ORDER BY id DESC LIMIT 1000) AS w
    WHERE w.given @> CAST(:label AS jsonb)
      AND (w.created <= now() - make_interval(secs => :least) OR jsonb_exists(w.given, :lost))
      AND w.created > now() - make_interval(secs => :most)
    ORDER BY w.id DESC
    LIMIT 1
""")

_LOSE = text(
    "UPDATE job_specs SET labels = labels || CAST(:label AS jsonb) WHERE job_id = :id AND jsonb_exists(labels, :name)"
)
_LOSE_RUN = text(
    "UPDATE workflows SET given = given || CAST(:label AS jsonb) WHERE id = :id AND jsonb_exists(given, :name)"
)

_FORGET = text("""
    UPDATE job_specs SET labels = NULLIF(labels - :name - :lost, '{}') WHERE job_id = :id AND jsonb_exists(labels, :name)
""")
_FORGET_RUN = text("UPDATE workflows SET given = given - :name - :lost WHERE id = :id AND jsonb_exists(given, :name)")


def find(tx: Connection, name: str, value: str, *, least_s: float, most_s: float) -> JobId | None:
    """Return the newest job with this mark whose age in seconds is between the two, or below the second if its client was gone."""
    label = orjson.dumps({name: value}).decode()
    return tx.execute(_FIND, {"label": label, "lost": name + _LOST, "least": least_s, "most": most_s}).scalar()


def find_run(
    tx: Connection, project_id: ProjectId, name: str, value: str, *, least_s: float, most_s: float
) -> int | None:
    """Return the newest run of a workflow with this mark, as `find` does."""
    label = orjson.dumps({name: value}).decode()
    parameters = {"project_id": project_id, "label": label, "lost": name + _LOST, "least": least_s, "most": most_s}
    return tx.execute(_FIND_RUN, parameters).scalar()


def lose(tx: Connection, job_id: JobId | None, run_id: int | None, name: str) -> None:
    """Note of a marked job or run that its client was gone; safe to repeat."""
    label = orjson.dumps({name + _LOST: "1"}).decode()
    for statement, row_id in ((_LOSE, job_id), (_LOSE_RUN, run_id)):
        if row_id is not None:
            tx.execute(statement, {"id": row_id, "label": label, "name": name})


def forget(tx: Connection, job_id: JobId | None, run_id: int | None, name: str) -> None:
    """Take the mark from a job or a run; safe to repeat."""
    for statement, row_id in ((_FORGET, job_id), (_FORGET_RUN, run_id)):
        if row_id is not None:
            tx.execute(statement, {"id": row_id, "name": name, "lost": name + _LOST})
