"""Lists of jobs: what they can be filtered and ordered by."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, ErrorId, JobId, JobTypeId, NodeId, ProjectId, RevisionId
from scheduler.store import type_in_short
from scheduler.store.jobs import filter_names
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs. Empty is all; values of one field are alternatives, fields narrow. Times are of `last_modified` unless a list says otherwise.

    `project_id` is the caller's bound, not a filter of theirs. `node` takes ids, names and host names; `label` takes
    `key:value`; `text` is found anywhere in the job's name, in any case; `changed_by` are
    operations. Of `without` no field may hold.
    """

    project_id: ProjectId | None = None
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
    job_name: tuple[str, ...] = ()
    workflow_id: tuple[int, ...] = ()
    project: tuple[str, ...] = ()
    error_name: tuple[str, ...] = ()
    priority: tuple[int, ...] = ()
    is_held: tuple[bool, ...] = ()
    text: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    changed_by: tuple[int, ...] = ()
    without: JobFilter | None = None

    def is_empty(self) -> bool:
        """Whether it lets every job of the caller's projects through."""
        return not any(getattr(self, one.name) for one in fields(self) if one.name != "project_id")


class JobRow(NamedTuple):
    """A job as lists show it, with its job type, its node while it is placed, and its error once it has failed.

    A tuple, because the driver's rows are some: a dataclass of seventy fields took half the time of a page to make. The first fields
    are those of `JobTypeInShort`.
    """

    type_id: JobTypeId
    type_name: str
    type_version: str
    type_title: str
    type_description: str
    type_category: str | None
    author_name: str | None
    author_url: str | None
    icon_code: str | None
    is_system: bool
    is_long_running: bool
    is_active: bool
    is_operational: bool
    is_paused: bool
    id: JobId
    uuid: str
    name: str | None
    status: str
    priority: int
    attempt: Attempt
    num_exes: int
    forgiven: int
    max_tries: int
    round: int
    members: int
    cpus: int
    mem: int
    disk_in: int
    disk_out: int
    timeout_s: int | None
    is_held: bool
    hold_reason: str | None
    percent: float | None
    note: str | None
    workflow_id: int | None
    is_skipped: bool
    not_before: datetime | None
    requested_not_before: datetime | None
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    last_status_change: datetime
    last_modified: datetime
    result_attempt: Attempt | None
    revision_id: RevisionId
    revision_num: int
    project: str
    pool: str | None
    custom: dict[str, int]
    labels: dict[str, str] | None
    node_id: NodeId | None
    node_name: str | None
    hostname: str | None
    error_id: ErrorId | None
    error_name: str | None
    error_title: str | None
    error_description: str | None
    error_category: str | None
    is_builtin: bool | None
    should_be_retried: bool | None
    command_line: str | None
    message: str | None
    event_id: int | None
    event_type: str | None
    event_occurred: datetime | None


_TYPE = "JOIN job_types t ON t.id = j.job_type_id"

_COLUMN = {
    "project_id": "j.project_id",
    "status": "j.status",
    "job_id": "j.id",
    "job_type_id": "j.job_type_id",
    "job_type_name": "j.job_type_id",
    "job_type_category": "j.job_type_id",
    "error_id": "j.error_id",
    "error_category": "j.error_id",
    "error_name": "j.error_id",
    "priority": "j.priority",
    "node": "j.node_id",
    "workflow_id": "j.workflow_id",
    "project": "j.project_id",
    "job_name": "j.name",
}
_LABELLED = """j.id IN (
    SELECT job_id FROM job_specs WHERE labels IS NOT NULL AND labels @> ANY(CAST(:label AS jsonb[])))"""

_CHANGED_BY = """j.id IN (
    SELECT generate_series(lower(span), upper(span) - 1)
    FROM operations o, unnest(o.changed) AS span
    WHERE o.id = ANY(:changed_by) AND (CAST(:changed_bound AS bigint) IS NULL OR o.project_id = :changed_bound))"""

_END_OF_TIME = "CAST('infinity' AS timestamptz)"


def _moment(column: str) -> SortKey:
    return SortKey(f"COALESCE(j.{column}, {_END_OF_TIME})", "timestamptz")


def _text(expression: str, join: str = "") -> SortKey:
    return SortKey(f'{expression} COLLATE "C"', "text", join)


KEYS: dict[str, SortKey] = {
    "id": SortKey("j.id", "bigint"),
    "created": SortKey("j.created", "timestamptz"),
    "queued": _moment("queued"),
    "started": _moment("started"),
    "ended": _moment("ended"),
    "last_modified": SortKey("j.last_modified", "timestamptz"),
    "last_status_change": SortKey("j.last_status_change", "timestamptz"),
    "status": _text("j.status"),
    "priority": SortKey("j.priority", "int"),
    "num_exes": SortKey("j.num_exes", "int"),
    "duration": SortKey("COALESCE(EXTRACT(epoch FROM j.ended - j.started)::float8, 'infinity')", "float8"),
    "cpus_required": SortKey("j.cpus", "bigint"),
    "mem_required": SortKey("j.mem", "bigint"),
    "name": _text("t.name", _TYPE),
    "version": _text("(t.version_order || ' ' || t.version)", _TYPE),
    "category": _text("COALESCE(t.category, '')", _TYPE),
    "job_name": _text("COALESCE(j.name, '')"),
}
"""The keys by which lists of jobs can be ordered; `name`, `version` and `category` are the type's."""

_ELSEWHERE = {
    "uuid": "CAST(j.uuid AS text)", "revision_num": "r.revision_num", "project": "p.name", "pool": "s.pool",
    "custom": "s.custom", "labels": "q.labels",
    **type_in_short.COLUMNS, "node_id": "n.id", "node_name": "n.name", "hostname": "n.hostname", "error_id": "e.id",
    "error_name": "e.name", "error_title": "e.title", "error_description": "e.description",
    "event_id": "v.id", "event_type": "v.type", "event_occurred": "v.occurred",
    "error_category": "e.category", "is_builtin": "e.is_builtin", "should_be_retried": "e.should_be_retried",
    "command_line": """LEFT((SELECT string_agg(word, ' ')
        FROM jsonb_array_elements_text(q.overrides -> 'command') AS word), 200)""",
    "message": """COALESCE(q.message, CASE WHEN j.error_id IS NOT NULL THEN (
        SELECT x.message FROM executions x WHERE x.job_id = j.id AND x.attempt = j.attempt
        ORDER BY x.error_id IS DISTINCT FROM j.error_id, x.member LIMIT 1) END)""",
}  # fmt: skip
"""The fields of a row that are no columns of `jobs` under that name."""


JOINS = """
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_type_revisions r ON r.id = j.revision_id
    JOIN projects p ON p.id = j.project_id
    JOIN shapes s ON s.id = j.shape_id
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN nodes n ON n.id = j.node_id
    LEFT JOIN errors e ON e.id = j.error_id
    LEFT JOIN trigger_events v ON v.id = q.event_id
"""
"""The tables beside `jobs j` that the columns of a row come from."""

_SOURCE = f"jobs j ON j.id = page.id {JOINS}"

_COLUMNS = ", ".join(f"{_ELSEWHERE.get(name, f'j.{name}')} AS {name}" for name in JobRow._fields)

JOBS = Listing(JobRow, "jobs j", _COLUMNS, _SOURCE, KEYS)
"""Jobs as `/jobs/` shows them."""


def condition(tx: Connection, chosen: JobFilter, *, times_of: str = "last_modified") -> RowCondition:
    """Return the filter as SQL; names are looked up now. `times_of` is the column that `started` and `ended` bound."""
    parts, parameters = _parts(tx, chosen, times_of)
    if chosen.without is not None:
        others, values = _parts(tx, chosen.without, times_of)
        parts += [f"({part}) IS NOT TRUE" for part in (_renamed(other) for other in others)]
        parameters |= {f"not_{name}": value for name, value in values.items()}
    return RowCondition(" AND ".join(parts) or "true", parameters)


def _parts(tx: Connection, chosen: JobFilter, times_of: str) -> tuple[list[str], dict[str, Parameter]]:
    """Return a condition for each field of a filter that narrows, and their parameters."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen) if one.name != "without"}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    given |= filter_names.ids(tx, {name: value for name, value in given.items() if name in filter_names.NAMED})
    parts: list[str] = []
    parameters: dict[str, Parameter] = {}
    for name, value in given.items():
        part, values = _part(name, value, chosen, times_of)
        parts.append(part)
        parameters |= values
    return parts, parameters


def _part(name: str, value: Any, chosen: JobFilter, times_of: str) -> tuple[str, dict[str, Parameter]]:  # noqa: ANN401 - one of the types of the filter's fields
    made: tuple[str, dict[str, Parameter]]
    if name == "pool":
        made = _pooled(chosen.pool, value)
    elif name == "label":
        made = _LABELLED, {name: _labels(value)}
    elif name == "is_held":
        made = ("true" if len(set(value)) > 1 else "j.is_held" if value[0] else "NOT j.is_held"), {}
    elif name == "text":
        values = {f"text_{number}": f"%{_literally(one)}%" for number, one in enumerate(value)}
        made = " AND ".join(f"j.name ILIKE :{key}" for key in values), {**values}
    elif name == "changed_by":
        made = _CHANGED_BY, {name: list(value), "changed_bound": chosen.project_id}
    elif name in _COLUMN:
        made = _one_of(name, value)
    elif name in {"created_after", "created_before"}:
        made = f"j.created {'>=' if name == 'created_after' else '<='} :{name}", {name: value}
    else:
        made = f"j.{times_of} {'>=' if name == 'started' else '<='} :{name}", {name: value}
    return made


def _literally(text: str) -> str:
    """Return a text whose signs mean themselves in LIKE."""
    return re.sub(r"([%_\\\\])", r"\\\1", text)


def _renamed(part: str) -> str:
    """Return a condition whose parameters have names of their own beside those of the other half."""
    return re.sub(r"(?<![:\w]):(\w+)", r":not_\1", part)


def these(ids: Collection[JobId]) -> RowCondition:
    """Return the condition that a job is one of these."""
    return RowCondition("j.id = ANY(:these)", {"these": [*ids]})


def matching(tx: Connection, condition: RowCondition, ids: Collection[JobId]) -> set[JobId]:
    """Return those of these jobs that match a condition."""
    statement = f"SELECT j.id FROM jobs j WHERE j.id = ANY(:these) AND {condition.sql}"  # noqa: S608 - our own text
    return set(tx.execute(text(statement), {**condition.parameters, "these": [*ids]}).scalars())


def _one_of(name: str, value: int | Sequence[int] | Sequence[str]) -> tuple[str, dict[str, Parameter]]:
    """Return the condition on one column. With one value its index has the rows in the order of `last_modified`."""
    values: list[int] | list[str] = [value] if isinstance(value, int) else list(value)  # type: ignore[assignment]  # all of one kind
    if not values:
        return "false", {}
    if len(values) == 1:
        return f"{_COLUMN[name]} = :{name}", {name: values[0]}
    return f"{_COLUMN[name]} = ANY(:{name})", {name: values}


def _pooled(pools: Sequence[str], nodes: list[int]) -> tuple[str, dict[str, Parameter]]:
    """Return the condition that a job asks for one of the pools, or is or was on one of their nodes."""
    asks = "j.pool = ANY(:pool)"
    if not nodes:
        return asks, {"pool": list(pools)}
    return f"({asks} OR j.node_id = ANY(:pool_nodes))", {"pool": list(pools), "pool_nodes": nodes}


def _labels(values: Sequence[str]) -> list[str]:
    pairs = (value.partition(":") for value in values)
    return [orjson.dumps({key: value}).decode() for key, _, value in pairs]
