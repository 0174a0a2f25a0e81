"""Workflows in short: read by their ids, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records
from scheduler.store.searching import SearchedTable


class WorkflowSummary(NamedTuple):
    """A workflow in short, with the ids of its jobs that nobody has deleted. It has ended when its jobs have: processes may still be dying.

    `started` is the first start of any of its jobs, which a restart leaves as it is; `ended` is null while it is live.
    """

    id: int
    project_id: ProjectId
    state: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    definition: str
    jobs: list[JobId]


_STATE = """COALESCE(j.state, (
    SELECT CASE
        WHEN count(*) FILTER (WHERE o.status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')) > 0
            THEN CASE WHEN bool_or(o.attempt > 0) THEN 'RUNNING' ELSE 'PENDING' END
        WHEN count(*) FILTER (WHERE o.status IN ('FAILED', 'BLOCKED') AND NOT m.allow_failure) > 0 THEN 'FAILED'
        WHEN j.canceled IS NOT NULL OR count(*) FILTER (WHERE o.status = 'CANCELED' AND NOT o.is_skipped) > 0 THEN 'CANCELED'
        ELSE 'COMPLETED' END
    FROM jobs o JOIN workflow_jobs m ON m.job_id = o.id AND m.superseded_by IS NULL
    WHERE o.workflow_id = j.id))"""

_STARTED = "(SELECT min(x.started) FROM executions x JOIN jobs o ON o.id = x.job_id WHERE o.workflow_id = j.id)"

_LIVE = "(SELECT count(*) FROM jobs o WHERE o.workflow_id = j.id AND o.status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING'))"

_LAST_END = "(SELECT max(o.ended) FROM jobs o WHERE o.workflow_id = j.id)"
_ENDED = f"CASE WHEN {_LIVE} = 0 THEN COALESCE({_LAST_END}, j.ended, j.canceled) END"

TABLE = SearchedTable(
    "workflows j",
    {"id": "CAST(j.id AS text)", "state": _STATE},
    {"id": "j.id", "created": "j.created", "started": _STARTED, "finished": _ENDED},
)
"""Workflows can be searched by id and state."""

_READ = text(f"""
    SELECT j.id, j.project_id, {_STATE} AS state, j.created, {_STARTED} AS started, {_ENDED} AS ended, j.definition,
           ARRAY(
               SELECT m.job_id FROM workflow_jobs m
               WHERE m.workflow_id = j.id AND m.superseded_by IS NULL
                 AND NOT EXISTS (SELECT FROM deletions d WHERE d.kind = 'job' AND d.object_id = m.job_id)
               ORDER BY 1
           ) AS jobs
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS wanted (id, n) JOIN workflows j ON j.id = wanted.id
    ORDER BY wanted.n
""")  # noqa: S608 - our own text


def read(tx: Connection, ids: Sequence[int]) -> list[WorkflowSummary]:
    """Return workflows by their ids, in this order; those that are gone are left out."""
    return records.read_all(WorkflowSummary, tx.execute(_READ, {"ids": list(ids)}))
