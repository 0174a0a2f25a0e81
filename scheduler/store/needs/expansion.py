"""Expansion: a job that stands for many becomes them. Their ids were kept free when it was made, so they are smaller than those of their followers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import JobId
from scheduler.store.schema.tables import job_specs, jobs

_OWN = {"id", "uuid", "name", "created", "last_status_change", "last_modified", "moved_xid"}
_COPIED = ", ".join(f'"{column.name}"' for column in jobs.columns if column.name not in _OWN)
_SPECS = ", ".join(
    f'"{column.name}"' for column in job_specs.columns if column.name not in {"job_id", "data", "overrides"}
)

_NEW = """(
        SELECT CAST(c.id AS bigint) AS id, CAST(c.n AS int) AS n, c.data, c.environment
        FROM ROWS FROM (jsonb_array_elements(CAST(:ids AS jsonb)), jsonb_array_elements(CAST(:numbers AS jsonb)),
                        jsonb_array_elements(CAST(:data AS jsonb)), jsonb_array_elements(CAST(:environments AS jsonb)))
             AS c (id, n, data, environment)
    ) AS v"""

_STATEMENTS = (
    text(f"""
        INSERT INTO jobs (id, name, {_COPIED})
        SELECT v.id, :step || '[' || v.n || ']', {", ".join(f"t.{name.strip()}" for name in _COPIED.split(","))}
        FROM {_NEW} CROSS JOIN jobs t WHERE t.id = :template ORDER BY v.id
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO job_specs (job_id, data, overrides, {_SPECS})
        SELECT v.id, v.data, t.overrides || v.environment, {", ".join(f"t.{name.strip()}" for name in _SPECS.split(","))}
        FROM {_NEW} CROSS JOIN job_specs t WHERE t.job_id = :template ORDER BY v.id
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO job_plans (job_id, wiring, conditions, cache, needs_within_s)
        SELECT v.id, t.wiring, t.conditions, t.cache, t.needs_within_s FROM {_NEW} CROSS JOIN job_plans t WHERE t.job_id = :template ORDER BY v.id
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO job_needs (job_id, position, needs_id, group_id, after, any_member, tolerate, allow_skipped, wires, settled)
        SELECT v.id, t.position, t.needs_id, t.group_id, t.after, t.any_member, t.tolerate, t.allow_skipped, t.wires, t.settled
        FROM {_NEW} CROSS JOIN job_needs t WHERE t.job_id = :template ORDER BY v.id, t.position
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO workflow_jobs (job_id, workflow_id, step, member, allow_failure, is_finally)
        SELECT v.id, t.workflow_id, t.step, v.n, t.allow_failure, t.is_finally
        FROM {_NEW} CROSS JOIN workflow_jobs t WHERE t.job_id = :template ORDER BY v.id
    """),  # noqa: S608 - our own text
    text(f"""
        INSERT INTO group_members (group_id, job_id, position)
        SELECT t.group_id, v.id, v.n FROM {_NEW} CROSS JOIN group_members t WHERE t.job_id = :template ORDER BY v.id
    """),  # noqa: S608 - our own text
)

# Member by member: so many at once, each behind the one that is so many places before it.
_WINDOW = text("""
    INSERT INTO job_needs (job_id, position, needs_id, after)
    SELECT v.id, :position, v.before, 'ANY'
    FROM unnest(CAST(:ids AS bigint[]), CAST(:befores AS bigint[])) AS v (id, before)
""")

_FIRST = (
    text("""
        UPDATE job_specs SET data = CAST(:data AS jsonb), overrides = overrides || CAST(:environment AS jsonb)
        WHERE job_id = :template
    """),
    text("UPDATE jobs SET name = :step || '[0]' WHERE id = :template"),
    text("UPDATE workflow_jobs SET member = 0 WHERE job_id = :template"),
    text("UPDATE job_plans SET expansion = NULL WHERE job_id = :template"),
)

_CLOSE = text(
    "UPDATE job_groups SET is_open = false WHERE id IN (SELECT group_id FROM group_members WHERE job_id = :template)"
)

_EMPTY = text("""
    WITH gone AS (DELETE FROM group_members WHERE job_id = :template RETURNING group_id)
    UPDATE job_groups SET is_open = false WHERE id IN (SELECT group_id FROM gone)
    RETURNING id
""")

_GROWN = text("""
    UPDATE workflows SET total = total + :more, last_modified = now()
    WHERE id = (SELECT workflow_id FROM jobs WHERE id = :template)
""")

_TOLERATE = text("""
    UPDATE job_needs SET tolerate = GREATEST(tolerate, CAST(floor(:size * :percent / 100) AS int))
    WHERE group_id IN (SELECT group_id FROM group_members WHERE job_id = :template)
""")


@dataclass(frozen=True, slots=True)
class ExpandedJob:
    """One job of those that a job becomes: its id, its data, and what stands in its environment beside the others'."""

    id: JobId
    data: Document
    environment: Document


def expand(
    tx: Connection,
    template: JobId,
    step: str,
    members: Sequence[ExpandedJob],
    *,
    position: int,
    max_running: int | None,
) -> None:
    """Make a job, locked and waiting, the first of these, and the others beside it; its group has all its members then.

    `position` is the place for one more need of theirs.
    """
    first, others = members[0], members[1:]
    for statement in _FIRST:
        tx.execute(
            statement,
            {"template": template, "step": step, "data": _json(first.data), "environment": _json(first.environment)},
        )
    if others:
        columns = {
            "ids": _json([one.id for one in others]),
            "numbers": _json(list(range(1, len(members)))),
            "data": _json([one.data for one in others]),
            "environments": _json([one.environment for one in others]),
        }
        for statement in _STATEMENTS:
            tx.execute(statement, {"template": template, "step": step, **columns})
        tx.execute(_GROWN, {"template": template, "more": len(others)})
    if max_running is not None and max_running < len(members):
        ids = [one.id for one in members]
        tx.execute(_WINDOW, {"ids": ids[max_running:], "befores": ids[:-max_running], "position": position})
    tx.execute(_CLOSE, {"template": template})


def empty(tx: Connection, template: JobId) -> list[int]:
    """Let the group of a job have no members at all, since there is nothing to make them of; return the group."""
    return list(tx.execute(_EMPTY, {"template": template}).scalars())


def close(tx: Connection, template: JobId) -> None:
    """Let the group of a job have it as its only member."""
    tx.execute(_CLOSE, {"template": template})


def tolerate(tx: Connection, template: JobId, size: int, percent: float) -> None:
    """Let so many of a hundred members of a job's group end badly, now that their number is known."""
    tx.execute(_TOLERATE, {"template": template, "size": size, "percent": percent})


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    return orjson.dumps(value).decode()
