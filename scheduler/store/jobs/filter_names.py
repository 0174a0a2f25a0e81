"""From the names that filters use to ids: asked once before a list is read.

The planner then sees the very ids it has an index and statistics for, and a name that nothing has costs no search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

_IDS = {
    "job_type_name": "SELECT id FROM job_types WHERE name = ANY(:job_type_name)",
    "job_type_category": "SELECT id FROM job_types WHERE category = ANY(:job_type_category)",
    "error_category": "SELECT id FROM errors WHERE category = ANY(:error_category)",
    "error_name": "SELECT id FROM errors WHERE name = ANY(:error_name)",
    "node": "SELECT id FROM nodes WHERE hostname = ANY(:node) OR name = ANY(:node) OR CAST(id AS text) = ANY(:node)",
    "pool": "SELECT n.id FROM nodes n JOIN pools p ON p.id = n.pool_id WHERE p.name = ANY(:pool)",
    "project": "SELECT id FROM projects WHERE name = ANY(:project)",
}
NAMED = frozenset(_IDS)
"""The filters that take names; those of `pool` mean the nodes in it."""


def ids(tx: Connection, asked: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Return the ids that are meant, by filter, in order; a filter whose names nothing has gets none."""
    if not asked:
        return {}
    parts = [f"SELECT '{name}' AS filter, found.id FROM ({_IDS[name]}) AS found" for name in asked]  # noqa: S608 - ours
    meant: dict[str, list[int]] = {name: [] for name in asked}
    for row in tx.execute(text(" UNION ALL ".join(parts)), {name: list(values) for name, values in asked.items()}):
        meant[row.filter].append(row.id)
    return {name: sorted(found) for name, found in meant.items()}
