"""Things by the beginning of their names, for whoever types one."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records


class FoundEntry(NamedTuple):
    """Something that was found: its kind, the id or name by which it is asked for, its name, and a word more."""

    kind: str
    id: str
    name: str
    detail: str | None


# Each part is cut by itself, so that no kind of thing hides the others. Names of jobs have an index for prefixes in "C" order.
_SEARCH = text("""
    (SELECT 'job' AS kind, j.id::text AS id, COALESCE(j.name, t.name) AS name, j.status AS detail
     FROM jobs j JOIN job_types t ON t.id = j.job_type_id
     WHERE j.id = :number AND (CAST(:bound AS bigint) IS NULL OR j.project_id = :bound))
    UNION ALL
    (SELECT 'job', f.id::text, f.name, f.status FROM (
         SELECT j.id, j.name, j.status FROM jobs j
         WHERE j.name = :q AND (CAST(:bound AS bigint) IS NULL OR j.project_id = :bound)
         ORDER BY j.last_modified DESC LIMIT :most) AS f)
    UNION ALL
    (SELECT 'type', t.id::text, t.name || ' ' || t.version, t.title FROM job_types t
     WHERE t.name ILIKE :prefix AND t.is_active AND (CAST(:bound AS bigint) IS NULL OR t.project_id IS NULL OR t.project_id = :bound)
     ORDER BY t.name, t.version_order DESC LIMIT :most)
    UNION ALL
    (SELECT 'node', n.id::text, n.name, n.state FROM nodes n
     WHERE (n.name ILIKE :prefix OR n.hostname ILIKE :prefix) AND n.state <> 'GONE' ORDER BY n.name LIMIT :most)
    UNION ALL
    (SELECT 'pool', p.name, p.name, p.sizing FROM pools p WHERE p.name ILIKE :prefix ORDER BY p.name LIMIT :most)
    UNION ALL
    (SELECT 'project', p.name, p.name, p.title FROM projects p
     WHERE p.name ILIKE :prefix AND (CAST(:bound AS bigint) IS NULL OR p.id = :bound) ORDER BY p.name LIMIT :most)
""")


def search(tx: Connection, q: str, prefix: str, number: int, *, bound: ProjectId | None, most: int) -> list[FoundEntry]:
    """Return up to `most` things of each kind; `prefix` is a pattern of LIKE, `number` the job's id that the text may be."""
    parameters = {"q": q, "prefix": prefix, "number": number, "bound": bound, "most": most}
    return records.read_all(FoundEntry, tx.execute(_SEARCH, parameters))
