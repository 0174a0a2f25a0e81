"""What the resolver reads and writes: who has changed, what that makes of needs, and what becomes of the jobs that have them.

Every statement is for many jobs. A need keeps what its parent's standing makes of it (`settled`, null while it waits), so
that a job is judged by a few looks into an index, however many needs it has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, JobId
from scheduler.store import records
from scheduler.store.needs import truth

_TAKE = text("""
    DELETE FROM need_changes
    WHERE id IN (SELECT id FROM need_changes ORDER BY id LIMIT :limit)
    RETURNING job_id
""")

_TELL = text("INSERT INTO need_changes (job_id) SELECT unnest(CAST(:ids AS bigint[]))")

_PARENTS = f"(SELECT p.id, {truth.STATE} AS state FROM jobs p WHERE p.id = ANY(:ids) OFFSET 0) AS p"  # noqa: S608 - our own text

_SETTLE = f"""
    UPDATE job_needs n
    SET settled = v.effect
    FROM (
        SELECT n.job_id, n.position, {truth.EFFECT} AS effect
        FROM {_PARENTS}
        JOIN job_needs n ON n.needs_id = p.id AND n.group_id IS NULL
        WHERE {{scope}}
    ) AS v
    WHERE n.job_id = v.job_id AND n.position = v.position AND n.settled IS DISTINCT FROM v.effect
    RETURNING n.job_id
"""  # noqa: S608 - our own text
_SETTLE_ALL, _SETTLE_NEW = (
    text(_SETTLE.format(scope=scope)) for scope in ("true", "n.job_id = ANY(CAST(:only AS bigint[]))")
)

# The lock keeps out who would look at the group to add a need for it; taken in order, for two may want the same groups.
_LOCK_GROUPS = text("SELECT id FROM job_groups WHERE id = ANY(:groups) ORDER BY id FOR NO KEY UPDATE")

_GROUPS_OF = text("SELECT DISTINCT group_id FROM group_members WHERE job_id = ANY(:ids)")

_MEMBERS = text(f"""
    UPDATE group_members m
    SET outcome = NULLIF(p.state, 'WAITING')
    FROM {_PARENTS}
    WHERE m.job_id = p.id AND m.outcome IS DISTINCT FROM NULLIF(p.state, 'WAITING')
""")  # noqa: S608 - our own text

_SETTLE_GROUPS = f"""
    UPDATE job_needs n
    SET settled = v.effect
    FROM (
        SELECT n.job_id, n.position, {truth.GROUP_EFFECT} AS effect
        FROM job_needs n JOIN job_groups g ON g.id = n.group_id
        WHERE n.group_id = ANY(:groups) AND {{scope}}
    ) AS v
    WHERE n.job_id = v.job_id AND n.position = v.position AND n.settled IS DISTINCT FROM v.effect
    RETURNING n.job_id
"""  # noqa: S608 - our own text
_SETTLE_GROUPS_ALL, _SETTLE_GROUPS_NEW = (
    text(_SETTLE_GROUPS.format(scope=scope)) for scope in ("true", "n.job_id = ANY(CAST(:only AS bigint[]))")
)

_JUDGED = "(j.status IN ('PENDING', 'BLOCKED') OR j.status = 'CANCELED' AND j.is_skipped)"
_JUDGE = text(f"""
    SELECT j.id, j.status, j.attempt, {truth.VERDICT} AS verdict, COALESCE(j.not_before > now(), false) AS later,
           EXISTS (SELECT FROM job_plans l WHERE l.job_id = j.id) AS has_plan
    FROM jobs j
    WHERE j.id = ANY(:ids) AND {_JUDGED}
    ORDER BY j.id
    FOR NO KEY UPDATE OF j SKIP LOCKED
""")  # noqa: S608 - our own text

_OPEN = text(f"SELECT id FROM jobs j WHERE id = ANY(:ids) AND {_JUDGED}")  # noqa: S608 - our own text

_SETTLED_OF = text("""
    INSERT INTO need_changes (job_id)
    SELECT DISTINCT job_id FROM job_needs WHERE job_id = ANY(:ids) AND settled IS NOT NULL
    RETURNING job_id
""")


class JudgedJob(NamedTuple):
    """A job that may be moved by its needs: where it stands, what its needs say, and whether its own time is still to come."""

    id: JobId
    status: str
    attempt: Attempt
    verdict: str
    later: bool
    has_plan: bool


def take(tx: Connection, limit: int) -> list[JobId]:
    """Take up to `limit` changes, oldest first; return the jobs, each once. They are gone with the commit."""
    return sorted(set(tx.execute(_TAKE, {"limit": limit}).scalars()))


def tell(tx: Connection, ids: Collection[JobId]) -> None:
    """Have these jobs looked at by the resolver: as parents, and as jobs that have needs."""
    if ids:
        tx.execute(_TELL, {"ids": sorted(ids)})


def settle(tx: Connection, ids: Sequence[JobId]) -> set[JobId]:
    """Bring the needs for these jobs up to date, single ones and those of groups; return the jobs whose needs changed."""
    touched = set(tx.execute(_SETTLE_ALL, {"ids": list(ids)}).scalars())
    groups = list(tx.execute(_GROUPS_OF, {"ids": list(ids)}).scalars())
    if groups:
        tx.execute(_LOCK_GROUPS, {"groups": groups})
        tx.execute(_MEMBERS, {"ids": list(ids)})
        touched |= set(tx.execute(_SETTLE_GROUPS_ALL, {"groups": groups}).scalars())
    return touched


def settle_groups(tx: Connection, groups: Sequence[int]) -> None:
    """Bring the needs for these groups up to date, and have the jobs judged whose needs changed."""
    if groups:
        tell(tx, set(tx.execute(_SETTLE_GROUPS_ALL, {"groups": list(groups)}).scalars()))


def settle_new(tx: Connection, new: Sequence[JobId], parents: Sequence[JobId], groups: Sequence[int]) -> bool:
    """Settle the needs of new jobs for parents and groups that were there; have those judged that have any settled, and tell whether there are."""
    if parents:
        tx.execute(_SETTLE_NEW, {"ids": list(parents), "only": list(new)})
    if groups:
        tx.execute(_SETTLE_GROUPS_NEW, {"groups": list(groups), "only": list(new)})
    return tx.execute(_SETTLED_OF, {"ids": list(new)}).first() is not None


def judge(tx: Connection, ids: Collection[JobId]) -> list[JudgedJob]:
    """Lock those of these jobs that their needs can move, and return what their needs say.

    Jobs that somebody else has locked are left for the next time.
    """
    found = records.read_all(JudgedJob, tx.execute(_JUDGE, {"ids": sorted(ids)}))
    missing = set(ids) - {job.id for job in found}
    if missing:
        tell(tx, set(tx.execute(_OPEN, {"ids": sorted(missing)}).scalars()))
    return found
