"""Lists of runs: what they can be filtered and ordered by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from scheduler.identifiers import ProjectId
from scheduler.rules.workflow.state import WorkflowState
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey
from scheduler.store.workflows.workflows import WorkflowRow

_SOURCE = """
    workflows w ON w.id = page.id
    JOIN projects p ON p.id = w.project_id
    LEFT JOIN tokens k ON k.id = w.created_by
    LEFT JOIN workflow_revisions r ON r.id = w.type_revision_id
    LEFT JOIN workflow_types t ON t.id = r.workflow_type_id
"""
_ELSEWHERE = {
    "uuid": "CAST(w.uuid AS text)",
    "project": "p.name",
    "type_name": "t.name",
    "type_revision": "r.revision_num",
    "created_by": "k.name",
    "definition": "''",
    "borrowed": "w.given -> 'borrowed'",
}
_COLUMNS = ", ".join(f"{_ELSEWHERE.get(name, f'w.{name}')} AS {name}" for name in WorkflowRow._fields)

_END_OF_TIME = "CAST('infinity' AS timestamptz)"
KEYS: Mapping[str, SortKey] = {
    "id": SortKey("j.id", "bigint"),
    "created": SortKey("j.created", "timestamptz"),
    "started": SortKey(f"COALESCE(j.started, {_END_OF_TIME})", "timestamptz"),
    "ended": SortKey(f"COALESCE(j.ended, {_END_OF_TIME})", "timestamptz"),
    "last_modified": SortKey("j.last_modified", "timestamptz"),
}

WORKFLOWS = Listing(WorkflowRow, "workflows j", _COLUMNS, _SOURCE, KEYS)
"""Runs as lists show them: without the text of their definition."""


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """Which runs. Empty is all; values of one field are alternatives, fields narrow."""

    state: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    workflow_id: tuple[int, ...] = ()


# A live one has no state yet: PENDING until a job of it has started.
_STARTED = "EXISTS (SELECT FROM jobs s WHERE s.workflow_id = j.id AND s.num_exes > 0)"


def condition(chosen: WorkflowFilter, project_id: ProjectId | None) -> RowCondition:
    """Return the filter as SQL; `project_id` is the caller's bound."""
    parts = ["NOT j.is_open"]
    parameters: dict[str, Parameter] = {}
    if project_id is not None:
        parts.append("j.project_id = :bound")
        parameters["bound"] = project_id
    if chosen.state:
        live = {WorkflowState.PENDING: f"j.state IS NULL AND NOT {_STARTED}", WorkflowState.RUNNING: f"j.state IS NULL AND {_STARTED}"}  # fmt: skip
        words = [live.get(WorkflowState(word), "") for word in chosen.state]
        final = [word for word, sql in zip(chosen.state, words, strict=True) if not sql]
        either = [f"({sql})" for sql in words if sql] + (["j.state = ANY(:states)"] if final else [])
        parts.append(f"({' OR '.join(either)})")
        parameters |= {"states": final} if final else {}
    if chosen.name:
        parts.append("j.name = ANY(:names)")
        parameters["names"] = list(chosen.name)
    if chosen.workflow_id:
        parts.append("j.id = ANY(:ids)")
        parameters["ids"] = list(chosen.workflow_id)
    if chosen.project:
        parts.append("j.project_id IN (SELECT id FROM projects WHERE name = ANY(:projects))")
        parameters["projects"] = list(chosen.project)
    if chosen.label:
        parts.append("j.labels @> ANY(CAST(:labels AS jsonb[]))")
        pairs = (value.partition(":") for value in chosen.label)
        parameters["labels"] = [orjson.dumps({key: value}).decode() for key, _, value in pairs]
    return RowCondition(" AND ".join(parts), parameters)
