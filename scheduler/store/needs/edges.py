"""Writing needs and groups of new jobs: edges to earlier jobs, and the locks that keep an end from being missed.

Who adds a need locks the parent's row (or the group's) and writes into it that it has followers. So either the parent's
end is committed before, and seen here; or it comes after, sees that it has followers, and tells the resolver.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records
from scheduler.store.needs import deadlines, truth


@dataclass(frozen=True, slots=True)
class NeedEdge:
    """A need of a new job: for one earlier job, or for a group whose last member is `needs_id`."""

    job_id: JobId
    position: int
    needs_id: JobId
    group_id: int | None
    after: str
    any_member: bool
    tolerate: int
    allow_skipped: bool
    wires: bool


class EarlierJob(NamedTuple):
    """A job that is needed and was there before, locked; `is_ended` if it matters to those that need it already."""

    id: JobId
    is_ended: bool


class KnownGroup(NamedTuple):
    """A group that is there: how many members it has, and the last of them."""

    id: int
    name: str | None
    size: int
    last_id: JobId


_LOCK_PARENTS = text(f"""
    SELECT p.id, {truth.STATE} <> 'WAITING' AS is_ended
    FROM jobs p
    WHERE p.id = ANY(:ids) AND p.project_id = :project_id
    ORDER BY p.id
    FOR NO KEY UPDATE
""")  # noqa: S608 - our own text

_MARK = text("""
    UPDATE jobs j
    SET followers = v.level
    FROM unnest(CAST(:ids AS bigint[]), CAST(:levels AS smallint[])) AS v (id, level)
    WHERE j.id = v.id AND j.followers < v.level
""")

_MARK_MEMBERS = text("""
    UPDATE jobs j
    SET followers = 2
    FROM group_members m
    WHERE m.group_id = ANY(:groups) AND j.id = m.job_id AND j.followers < 2
""")

_KNOWN = """
    SELECT g.id, g.name, s.size, s.last_id
    FROM job_groups g
    CROSS JOIN LATERAL (
        SELECT count(*) AS size, COALESCE(max(job_id), 0) AS last_id FROM group_members WHERE group_id = g.id
    ) AS s
    WHERE g.project_id = :project_id AND {condition}
    ORDER BY g.id
"""
_BY_ID = text(_KNOWN.format(condition="g.id = ANY(:ids)") + " FOR NO KEY UPDATE OF g")
_BY_NAME = text("""
    SELECT DISTINCT ON (name) id
    FROM job_groups
    WHERE project_id = :project_id AND name = ANY(:names)
    ORDER BY name, id DESC
""")

_MEMBER_AT = text("""
    SELECT m.job_id
    FROM unnest(CAST(:groups AS bigint[]), CAST(:positions AS int[])) WITH ORDINALITY AS v (group_id, position, n)
    LEFT JOIN group_members m ON m.group_id = v.group_id AND m.position = v.position
    ORDER BY v.n
""")

_NEW_GROUPS = text("""
    INSERT INTO job_groups (project_id, name, is_open)
    SELECT :project_id, v.name, v.is_open
    FROM unnest(CAST(:names AS text[]), CAST(:open AS boolean[])) WITH ORDINALITY AS v (name, is_open, n)
    ORDER BY v.n
    RETURNING id
""")

_NEW_MEMBERS = text(f"""
    INSERT INTO group_members (group_id, job_id, position, outcome)
    SELECT v.group_id, v.job_id, v.position, NULLIF({truth.STATE}, 'WAITING')
    FROM (
        SELECT CAST(c.g AS bigint) AS group_id, CAST(c.j AS bigint) AS job_id, CAST(c.p AS int) AS position
        FROM ROWS FROM (jsonb_array_elements(CAST(:groups AS jsonb)), jsonb_array_elements(CAST(:jobs AS jsonb)),
                        jsonb_array_elements(CAST(:positions AS jsonb))) AS c (g, j, p)
    ) AS v
    JOIN jobs p ON p.id = v.job_id
""")  # noqa: S608 - our own text

_EDGES = text("""
    INSERT INTO job_needs (job_id, position, needs_id, group_id, after, any_member, tolerate, allow_skipped, wires)
    SELECT v.job_id, v.position, v.needs_id, NULLIF(v.group_id, 0), v.after, v.any_member, v.tolerate, v.allow_skipped, v.wires
    FROM unnest(CAST(:job_id AS bigint[]), CAST(:position AS int[]), CAST(:needs_id AS bigint[]), CAST(:group_id AS bigint[]),
                CAST(:after AS text[]), CAST(:any_member AS boolean[]), CAST(:tolerate AS int[]),
                CAST(:allow_skipped AS boolean[]), CAST(:wires AS boolean[]))
         AS v (job_id, position, needs_id, group_id, after, any_member, tolerate, allow_skipped, wires)
    ORDER BY v.job_id, v.position
""")

_PLANS = text("""
    INSERT INTO job_plans (job_id, wiring, conditions, expansion, cache, needs_within_s)
    SELECT CAST(v.key AS bigint), v.value -> 'wiring', v.value -> 'conditions', v.value -> 'expansion', v.value -> 'cache',
           CAST(v.value ->> 'within' AS int)
    FROM jsonb_each(CAST(:plans AS jsonb)) AS v
""")


def lock_parents(tx: Connection, project_id: ProjectId, ids: Collection[int]) -> dict[int, EarlierJob]:
    """Lock these jobs of a project, in order, and return them by id; others are left out."""
    if not ids:
        return {}
    rows = tx.execute(_LOCK_PARENTS, {"ids": sorted(ids), "project_id": project_id})
    return {row.id: row for row in records.read_all(EarlierJob, rows)}


def mark(tx: Connection, levels: Mapping[int, int]) -> None:
    """Write into jobs that others need them: 1 their end, 2 their start too."""
    if levels:
        tx.execute(_MARK, {"ids": list(levels), "levels": list(levels.values())})


def mark_members(tx: Connection, groups: Collection[int]) -> None:
    """Write into all members of these groups that others need their start."""
    if groups:
        tx.execute(_MARK_MEMBERS, {"groups": sorted(groups)})


def lock_groups(
    tx: Connection, project_id: ProjectId, ids: Collection[int], names: Collection[str]
) -> dict[int | str, KnownGroup]:
    """Lock groups of a project; return them by what they were asked for by, an id or a name (the newest of it)."""
    if not ids and not names:
        return {}
    newest = set(tx.execute(_BY_NAME, {"project_id": project_id, "names": sorted(names)}).scalars()) if names else set()
    rows = tx.execute(_BY_ID, {"project_id": project_id, "ids": sorted({*ids, *newest})})
    found = records.read_all(KnownGroup, rows)
    by_name: dict[int | str, KnownGroup] = {one.name: one for one in found if one.id in newest and one.name is not None}
    return by_name | {one.id: one for one in found}


def members_at(tx: Connection, wanted: Sequence[tuple[int, int]]) -> list[JobId | None]:
    """Return the member of each group at each place, in order; None where there is none."""
    if not wanted:
        return []
    columns = {"groups": [group for group, _ in wanted], "positions": [position for _, position in wanted]}
    return list(tx.execute(_MEMBER_AT, columns).scalars())


def new_groups(
    tx: Connection, project_id: ProjectId, groups: Sequence[tuple[str | None, Sequence[JobId]]]
) -> list[int]:
    """Make groups (name, members in order) and return their ids, in order. The members' rows are there already."""
    ids = make_groups(tx, project_id, [name for name, _ in groups])
    add_members(
        tx,
        [
            (group_id, job_id, place)
            for group_id, (_, jobs) in zip(ids, groups, strict=True)
            for place, job_id in enumerate(jobs)
        ],
    )
    return ids


def make_groups(
    tx: Connection, project_id: ProjectId, names: Sequence[str | None], *, still_open: Collection[str] = ()
) -> list[int]:
    """Make groups without members and return their ids, in order. Of those that are open not all members are known yet."""
    if not names:
        return []
    columns = {"project_id": project_id, "names": list(names), "open": [name in still_open for name in names]}
    return sorted(tx.execute(_NEW_GROUPS, columns).scalars())


def add_members(tx: Connection, members: Sequence[tuple[int, JobId, int]]) -> None:
    """Add jobs to groups that nobody needs yet: (group, job, place)."""
    if members:
        arrays = ("groups", "jobs", "positions")
        given = {name: orjson.dumps([one[n] for one in members]).decode() for n, name in enumerate(arrays)}
        tx.execute(_NEW_MEMBERS, given)


def insert(tx: Connection, edges: Sequence[NeedEdge]) -> None:
    """Write the needs of new jobs; the database refuses one that points to a later job."""
    if edges:
        names = ("job_id", "position", "needs_id", "after", "any_member", "tolerate", "allow_skipped", "wires")
        columns = {name: [getattr(edge, name) for edge in edges] for name in names}
        tx.execute(_EDGES, {**columns, "group_id": [edge.group_id or 0 for edge in edges]})


def insert_plans(tx: Connection, plans: Mapping[int, Mapping[str, object]]) -> None:
    """Write what is to be done when the needs of these jobs are satisfied: `wiring` and `conditions`."""
    if plans:
        tx.execute(_PLANS, {"plans": orjson.dumps({str(one): plan for one, plan in plans.items()}).decode()})
        deadlines.begin(tx, [JobId(one) for one, plan in plans.items() if plan.get("within") is not None])
