"""What jobs say of another try: after which errors, and whether they ask for more memory after a lack of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId

_READ = text("""
    SELECT j.id, COALESCE(q.overrides -> 'retry_on', r.definition -> 'retry_on') AS retry_on,
           COALESCE(q.overrides -> 'on_oom', r.definition -> 'on_oom', 'null') <> 'null' AS has_on_oom
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    JOIN job_type_revisions r ON r.id = j.revision_id
    WHERE j.id = ANY(:ids)
""")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The categories and names of errors after which a job wants another try (None: as each error says), and its `on_oom`."""

    retry_on: Sequence[str] | None = None
    has_on_oom: bool = False


def read(tx: Connection, ids: Sequence[JobId]) -> dict[JobId, RetryPolicy]:
    """Return what these jobs say, by id: themselves, else their types."""
    if not ids:
        return {}
    return {row.id: RetryPolicy(row.retry_on, row.has_on_oom) for row in tx.execute(_READ, {"ids": sorted(set(ids))})}
