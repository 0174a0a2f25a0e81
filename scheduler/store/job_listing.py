"""Lists of jobs: what they can be filtered and ordered by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from scheduler.store.paging import Condition, Key, Listing


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs. Empty is all; values of one field are alternatives, fields narrow. Times are of `last_modified`.

    `project_id` is the caller's bound, not a filter of theirs. `node` takes ids, names and host names; `label` takes
    `key:value`.
    """

    project_id: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    status: tuple[str, ...] = ()
    job_id: tuple[int, ...] = ()
    job_type_id: tuple[int, ...] = ()
    job_type_name: tuple[str, ...] = ()
    job_type_category: tuple[str, ...] = ()
    error_id: tuple[int, ...] = ()
    error_category: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    workflow_id: tuple[int, ...] = ()
    project: tuple[str, ...] = ()

    def is_empty(self) -> bool:
        """Whether it lets every job of the caller's projects through."""
        return not any(getattr(self, one.name) for one in fields(self) if one.name != "project_id")


_TYPE = "JOIN job_types t ON t.id = j.job_type_id"

# The small tables are asked once, before the jobs: the planner then sees a list of ids it has an index for.
_CONDITIONS: dict[str, str] = {
    "project_id": "j.project_id = :project_id",
    "started": "j.last_modified >= :started",
    "ended": "j.last_modified <= :ended",
    "status": "j.status = ANY(:status)",
    "job_id": "j.id = ANY(:job_id)",
    "job_type_id": "j.job_type_id = ANY(:job_type_id)",
    "job_type_name": "j.job_type_id = ANY(ARRAY(SELECT id FROM job_types WHERE name = ANY(:job_type_name)))",
    "job_type_category": "j.job_type_id = ANY(ARRAY(SELECT id FROM job_types WHERE category = ANY(:job_type_category)))",
    "error_id": "j.error_id = ANY(:error_id)",
    "error_category": "j.error_id = ANY(ARRAY(SELECT id FROM errors WHERE category = ANY(:error_category)))",
    "node": """j.node_id = ANY(ARRAY(
        SELECT id FROM nodes
        WHERE hostname = ANY(:node) OR name = ANY(:node) OR CAST(id AS text) = ANY(:node)))""",
    "pool": """(j.shape_id IN (SELECT id FROM shapes WHERE pool = ANY(:pool)) OR j.node_id = ANY(ARRAY(
        SELECT n.id FROM nodes n JOIN pools p ON p.id = n.pool_id WHERE p.name = ANY(:pool))))""",
    "label": """j.id IN (
        SELECT job_id FROM job_specs WHERE labels IS NOT NULL AND labels @> ANY(CAST(:label AS jsonb[])))""",
    "workflow_id": "j.workflow_id = ANY(:workflow_id)",
    "project": "j.project_id = ANY(ARRAY(SELECT id FROM projects WHERE name = ANY(:project)))",
}

# With one value the index of that column and last_modified gives the rows in order.
_SINGLE = {"status": "j.status = :status", "job_type_id": "j.job_type_id = :job_type_id"}

_END_OF_TIME = "CAST('infinity' AS timestamptz)"


def _moment(column: str) -> Key:
    return Key(f"COALESCE(j.{column}, {_END_OF_TIME})", "timestamptz")


def _text(expression: str, join: str = "") -> Key:
    return Key(f'{expression} COLLATE "C"', "text", join)


KEYS: dict[str, Key] = {
    "id": Key("j.id", "bigint"),
    "created": Key("j.created", "timestamptz"),
    "queued": _moment("queued"),
    "started": _moment("started"),
    "ended": _moment("ended"),
    "last_modified": Key("j.last_modified", "timestamptz"),
    "last_status_change": Key("j.last_status_change", "timestamptz"),
    "status": _text("j.status"),
    "priority": Key("j.priority", "int"),
    "num_exes": Key("j.num_exes", "int"),
    "duration": Key("COALESCE(EXTRACT(epoch FROM j.ended - j.started)::float8, 'infinity')", "float8"),
    "cpus_required": Key("j.cpus", "bigint"),
    "mem_required": Key("j.mem", "bigint"),
    "name": _text("t.name", _TYPE),
    "version": _text("t.version", _TYPE),
    "category": _text("COALESCE(t.category, '')", _TYPE),
    "job_name": _text("COALESCE(j.name, '')"),
}
"""What lists of jobs can be ordered by; `name`, `version` and `category` are the type's."""

_COLUMNS = """
    j.id, CAST(j.uuid AS text) AS uuid, j.name, j.status, j.priority, j.attempt, j.num_exes, j.max_tries, j.round, j.cpus, j.mem, j.disk_in,
    j.disk_out, j.timeout_s, j.is_held, j.hold_reason, j.percent, j.note, j.workflow_id, j.not_before, j.created,
    j.queued, j.started, j.ended, j.last_status_change, j.last_modified, j.result_attempt,
    j.revision_id, r.revision_num, p.name AS project, s.pool, s.custom, q.labels,
    t.id AS type_id, t.name AS type_name, t.version AS type_version, t.title AS type_title,
    t.description AS type_description, t.category AS type_category, t.author_name, t.author_url, t.icon_code,
    t.is_system, t.is_long_running, t.is_active, t.is_operational, t.is_paused,
    n.id AS node_id, n.name AS node_name, n.hostname,
    e.id AS error_id, e.name AS error_name, e.title AS error_title, e.description AS error_description,
    e.category AS error_category, e.is_builtin, e.should_be_retried
"""

_SOURCE = """
    jobs j ON j.id = page.id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_type_revisions r ON r.id = j.revision_id
    JOIN projects p ON p.id = j.project_id
    JOIN shapes s ON s.id = j.shape_id
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN nodes n ON n.id = j.node_id
    LEFT JOIN errors e ON e.id = j.error_id
"""

JOBS = Listing("jobs j", _COLUMNS, _SOURCE, KEYS)
"""Jobs as `/jobs/` shows them."""

WITH_INPUTS = Listing("jobs j", f"{_COLUMNS}, q.data", _SOURCE, KEYS)
"""Jobs with the data they were given."""


def condition(chosen: JobFilter) -> Condition:
    """Return the filter as SQL."""
    parts = []
    parameters: dict[str, Any] = {}
    for one in fields(chosen):
        value = getattr(chosen, one.name)
        if value is None or value == ():
            continue
        if one.name in _SINGLE and len(value) == 1:
            parts.append(_SINGLE[one.name])
            value = value[0]
        else:
            parts.append(_CONDITIONS[one.name])
        parameters[one.name] = _PARAMETERS.get(one.name, _as_it_is)(value)
    return Condition(" AND ".join(parts) or "true", parameters)


def _as_it_is(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _labels(values: Sequence[str]) -> list[str]:
    pairs = (value.partition(":") for value in values)
    return [orjson.dumps({key: value}).decode() for key, _, value in pairs]


_PARAMETERS: dict[str, Callable[[Any], Any]] = {"label": _labels}
