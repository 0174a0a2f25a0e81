"""How projects stood beside each other: with each sample of the load, what each used of late and was owed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId

MOST_PROJECTS = 100
"""Projects of a sample: those that are owed or owe the most."""

# Who holds nothing and is neither owed nor owes is left out.
_SAMPLE = text("""
    INSERT INTO balance_samples (sample_id, project_id, share, lag_s)
    SELECT :sample_id, project_id, share, lag_s
    FROM usage
    WHERE abs(lag_s) >= 1 OR share >= 0.001
    ORDER BY abs(lag_s) DESC, share DESC
    LIMIT :most
""")

# Of each stretch of time the last sample. The limit is never reached; it tells the planner how few there are.
_HISTORY = text("""
    WITH chosen AS (
        SELECT DISTINCT ON (floor(extract(epoch FROM at) / :every_s)) id, at
        FROM load_samples
        WHERE at >= :since AND at <= :until
        ORDER BY floor(extract(epoch FROM at) / :every_s), at DESC
        LIMIT 1000
    ), most AS (
        SELECT b.project_id
        FROM balance_samples b JOIN chosen c ON c.id = b.sample_id
        WHERE CAST(:project_id AS bigint) IS NULL OR b.project_id = :project_id
        GROUP BY b.project_id
        ORDER BY max(abs(b.lag_s)) DESC, max(b.share) DESC, b.project_id
        LIMIT :most
    )
    SELECT c.at, b.project_id, p.name, b.share, b.lag_s
    FROM chosen c
    JOIN balance_samples b ON b.sample_id = c.id
    JOIN most m ON m.project_id = b.project_id
    JOIN projects p ON p.id = b.project_id AND p.deleted IS NULL
    ORDER BY b.project_id, c.at
""")

_MOMENTS = text("""
    SELECT max(at) FROM load_samples
    WHERE at >= :since AND at <= :until
    GROUP BY floor(extract(epoch FROM at) / :every_s)
    ORDER BY 1
""")


class BalanceSample(NamedTuple):
    """How one project stood at one time: its share of the fleet, decayed, and the seconds of the whole fleet that it was owed."""

    at: datetime
    project_id: ProjectId
    name: str
    share: float
    owed_s: float


def sample(tx: Connection, sample_id: int) -> None:
    """Write how projects stand now, with a sample of the load."""
    tx.execute(_SAMPLE, {"sample_id": sample_id, "most": MOST_PROJECTS})


def history(
    tx: Connection, since: datetime, until: datetime, every_s: float, most: int, project_id: ProjectId | None
) -> tuple[Sequence[datetime], Sequence[BalanceSample]]:
    """Return the times of the samples, thinned to one every so many seconds, and how the projects stood that differ most.

    The samples are by project, each oldest first; a project has none where it stood even and held nothing. With `project_id` only that one's.
    """
    window = {"since": since, "until": until, "every_s": every_s}
    moments = list(tx.execute(_MOMENTS, window).scalars())
    rows = tx.execute(_HISTORY, {**window, "most": most, "project_id": project_id})
    return moments, [BalanceSample(row.at, row.project_id, row.name, row.share, row.lag_s) for row in rows]
