"""Fresh copies of jobs that have run already and are to run again, since what they followed begins anew.

A copy has the id of a new job, so its needs still go to smaller ids; whoever needs the old one is copied, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId
from scheduler.store import records
from scheduler.store.schema.tables import job_specs, jobs

_LEFT = {"id", "uuid", "created", "last_status_change", "last_modified", "moved_xid"}
_BEGUN = {
    "attempt", "num_exes", "forgiven", "withdrawals", "round", "error_id", "node_id", "result_attempt", "avoid_nodes", "percent", "note",
    "is_skipped", "forced_by", "queued", "started", "ended", "is_held", "hold_reason", "is_pinned",
}  # fmt: skip
_ANEW = {
    "status": "'PENDING'",
    "max_tries": "COALESCE(t.requested_tries, t.max_tries)",
    "not_before": "t.requested_not_before",
}
"""Columns that a copy has otherwise than its job."""

_NAMES = [column.name for column in jobs.columns if column.name not in _LEFT | _BEGUN]
_COPIED = ", ".join(f'"{name}"' for name in _NAMES)
_VALUES = ", ".join(_ANEW.get(name, f't."{name}"') for name in _NAMES)
_SPECS = [column.name for column in job_specs.columns if column.name not in {"job_id", "results", "message"}]
_SPEC_NAMES = ", ".join(f'"{name}"' for name in _SPECS)

_PAIRS = """(
        SELECT CAST(key AS bigint) AS old, CAST(value AS bigint) AS id FROM jsonb_each_text(CAST(:pairs AS jsonb))
    ) AS v"""

_STATEMENTS = (
    text(f"""
        INSERT INTO jobs (id, {_COPIED})
        SELECT v.id, {_VALUES} FROM {_PAIRS} JOIN jobs t ON t.id = v.old ORDER BY v.id
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO job_specs (job_id, {_SPEC_NAMES})
        SELECT v.id, {", ".join(f't."{name}"' for name in _SPECS)} FROM {_PAIRS} JOIN job_specs t ON t.job_id = v.old
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO job_plans (job_id, wiring, conditions, expansion, cache, needs_within_s)
        SELECT v.id, t.wiring, t.conditions, t.expansion, t.cache, t.needs_within_s FROM {_PAIRS} JOIN job_plans t ON t.job_id = v.old
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO workflow_jobs (job_id, workflow_id, step, member, allow_failure, is_finally)
        SELECT v.id, t.workflow_id, t.step, t.member, t.allow_failure, t.is_finally
        FROM {_PAIRS} JOIN workflow_jobs t ON t.job_id = v.old
    """),  # noqa: S608 - our own text
    text(f"UPDATE workflow_jobs m SET superseded_by = v.id FROM {_PAIRS} WHERE m.job_id = v.old"),  # noqa: S608 - our own text
)

_GROUPS = text("""
    SELECT DISTINCT g.id, g.name FROM job_groups g JOIN group_members m ON m.group_id = g.id
    WHERE m.job_id = ANY(:old) AND g.name IS NOT NULL ORDER BY g.id
""")
_NEW_GROUP = text("""
    INSERT INTO job_groups (project_id, name, is_open) SELECT project_id, name, false FROM job_groups WHERE id = :id RETURNING id
""")
_NEW_MEMBERS = text(f"""
    INSERT INTO group_members (group_id, job_id, position)
    SELECT :group, v.id, m.position FROM group_members m JOIN {_PAIRS} ON v.old = m.job_id WHERE m.group_id = :id
""")  # noqa: S608 - our own text

_NEEDS = text(f"""
    INSERT INTO job_needs (job_id, position, needs_id, group_id, after, any_member, tolerate, allow_skipped, wires)
    SELECT v.id, n.position,
           COALESCE((CAST(:pairs AS jsonb) ->> CAST(n.needs_id AS text))::bigint, n.needs_id),
           COALESCE((CAST(:groups AS jsonb) ->> CAST(n.group_id AS text))::bigint, n.group_id),
           n.after, n.any_member, n.tolerate, n.allow_skipped, n.wires
    FROM {_PAIRS} JOIN job_needs n ON n.job_id = v.old
""")  # noqa: S608 - our own text

_STANDS = text("""
    SELECT m.step, array_agg(m.job_id ORDER BY m.job_id) AS jobs,
           bool_and(j.status IN ('COMPLETED', 'FAILED', 'CANCELED')) AS is_over,
           bool_or(j.status = 'COMPLETED') AS has_run, bool_or(j.status IN ('FAILED', 'BLOCKED')
               OR j.status = 'CANCELED' AND NOT j.is_skipped) AS begins
    FROM workflow_jobs m JOIN jobs j ON j.id = m.job_id
    WHERE m.workflow_id = :id AND m.superseded_by IS NULL
    GROUP BY m.step
""")

# Parents whose standing stays as it is while the others begin anew.
_RESTING = text("""
    SELECT DISTINCT n.needs_id FROM job_needs n JOIN jobs p ON p.id = n.needs_id
    WHERE n.job_id = ANY(:new) AND n.group_id IS NULL
      AND (p.status = 'COMPLETED' OR p.status = 'CANCELED' AND p.is_skipped)
""")
_RESTING_GROUPS = text("""
    SELECT DISTINCT n.group_id FROM job_needs n
    WHERE n.job_id = ANY(:new) AND n.group_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM group_members m JOIN jobs p ON p.id = m.job_id
          WHERE m.group_id = n.group_id AND NOT (p.status = 'COMPLETED' OR p.status = 'CANCELED' AND p.is_skipped))
""")


class StepStand(NamedTuple):
    """Where the jobs of a step stand: whether all are over, one is COMPLETED, and one will begin anew."""

    step: str
    jobs: list[JobId]
    is_over: bool
    has_run: bool
    begins: bool


def stands(tx: Connection, workflow_id: int) -> dict[str, StepStand]:
    """Return where the steps of a run stand."""
    return {one.step: one for one in records.read_all(StepStand, tx.execute(_STANDS, {"id": workflow_id}))}


def copy(tx: Connection, pairs: Mapping[JobId, JobId]) -> None:
    """Copy jobs, each to its new id, with their groups and needs; the old ones are marked as superseded."""
    given = {"pairs": _json({str(old): new for old, new in pairs.items()})}
    for statement in _STATEMENTS:
        tx.execute(statement, given)
    groups: dict[str, int] = {}
    for row in tx.execute(_GROUPS, {"old": sorted(pairs)}).all():
        group = groups[str(row.id)] = int(tx.execute(_NEW_GROUP, {"id": row.id}).scalar_one())
        tx.execute(_NEW_MEMBERS, {**given, "id": row.id, "group": group})
    tx.execute(_NEEDS, {**given, "groups": _json(groups)})


def resting(tx: Connection, new: Collection[JobId]) -> tuple[list[JobId], list[int]]:
    """Return the parents of these jobs, single ones and groups, that will not move any more."""
    asked = {"new": sorted(new)}
    return list(tx.execute(_RESTING, asked).scalars()), list(tx.execute(_RESTING_GROUPS, asked).scalars())


def _json(value: Mapping[str, int]) -> str:
    return orjson.dumps(value).decode()
