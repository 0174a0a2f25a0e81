"""Jobs as the API shows them, in the shapes of the documented job services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from api.http.executions import view as executions
from api.http.files import view as files
from api.http.files.schema import FileView
from api.http.jobs import awaits_view
from api.http.jobs import program_schema as programs
from api.http.jobs.answer_schema import (
    JobChanges,
    JobDetail,
    JobEntry,
    JobTypeOfDetail,
    JobTypeOfJob,
    JobWithFiles,
    JobWithLatest,
    NamedValue,
    ReuseView,
    RevisionInShort,
)
from api.http.jobs.placement_schema import ConstraintView
from api.http.jobs.submission_schema import Warnings
from api.http.named_errors import view as errors
from api.http.schema import document_view as documents
from api.http.schema.answers import NodeInShort
from api.http.schema.fields import units
from api.http.schema.job_documents import EventDescription, EventInShort
from scheduler.documents import DataEntry, JobDataDocument, JobResults, JsonValue
from scheduler.explain import forecast_json
from scheduler.feed.changes import FoundChanges
from scheduler.identifiers import JobId
from scheduler.jobs.admission import UnplaceableJobs
from scheduler.jobs.queries import FullJob
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.job_type.interface import DeclaredInput, DeclaredOutput
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.store.executions.listing import ExecutionRow
from scheduler.store.jobs.detail import JobRest, NamedFile
from scheduler.store.jobs.listing import JobRow
from scheduler.store.type_in_short import JobTypeInShort

Files: TypeAlias = Mapping[int, NamedFile]
"""Files by id."""


def changes(found: FoundChanges) -> JobChanges:
    """Return changes of jobs, with the cursor behind them."""
    return {"cursor": found.position.written(), "more": not found.is_all, "results": [entry(row) for row in found.rows]}


def entry(row: JobRow) -> JobEntry:
    """Return a job as lists show it."""
    return {
        "id": row.id,
        "uuid": row.uuid,
        "name": row.name,
        "project": row.project,
        "job_type": job_type(row),
        "job_type_rev": _revision(row),
        "event": _event(row),
        "node": node(row),
        "error": errors.entry(row),
        "status": row.status,
        "priority": row.priority,
        "num_exes": row.num_exes,
        "attempt": row.attempt,
        "count": row.members,
        "together": row.members > 1,
        "timeout": row.timeout_s,
        "forgiven": row.forgiven,
        "max_tries": row.max_tries,
        "cpus_required": units(row.cpus),
        "mem_required": units(row.mem),
        "disk_in_required": units(row.disk_in),
        "disk_out_required": units(row.disk_out),
        "resources": {name: units(amount) for name, amount in row.custom.items()},
        "pool": row.pool,
        "labels": row.labels or {},
        "command_line": row.command_line,
        "message": row.message,
        "workflow_id": row.workflow_id,
        "is_skipped": row.is_skipped,
        "is_held": row.is_held,
        "hold_reason": row.hold_reason,
        "percent": row.percent,
        "note": row.note,
        "not_before": row.requested_not_before or (row.not_before if row.attempt == 0 else None),
        "retry_at": row.not_before if _waits_to_retry(row) else None,
        "created": row.created,
        "queued": row.queued,
        "started": row.started,
        "ended": row.ended,
        "last_status_change": row.last_status_change,
        "last_modified": row.last_modified,
    }


def _waits_to_retry(row: JobRow) -> bool:
    """Return whether `not_before` is the back-off after a failed try, and not what the job asked for."""
    return row.status == JobStatus.QUEUED and row.attempt > 0 and row.not_before != row.requested_not_before


def with_input_files(row: JobRow, given: JobDataDocument, known: Files) -> JobWithFiles:
    """Return a job with the files it was given."""
    return {**entry(row), "input_files": _named(given.get("input_data", ()), known)}


def with_latest(row: JobRow, latest: Mapping[JobId, ExecutionRow]) -> JobWithLatest:
    """Return a job with its newest execution, null when it was never placed."""
    newest = latest.get(row.id)
    return {**entry(row), "latest_job_exe": None if newest is None else executions.entry(newest)}


def detail(found: FullJob) -> JobDetail:
    """Return a job in full; inputs and outputs are those its own revision declares, null where there is nothing."""
    row, more, definition = found.row, found.more, found.definition
    effective = definition.with_overrides(more.overrides)
    data, results = more.data, more.results or {}
    return {
        **entry(row),
        "job_type": _type_of_detail(row, more, definition, effective),
        "job_type_rev": {
            **_revision(row),
            "interface": documents.interface_with_command(effective),
            "created": more.revision_created,
        },
        "event": {**_event(row), "description": cast("EventDescription", more.event_description or {})},
        "command": list(effective.command),
        "environment": dict(effective.environment),
        "pre_timeout": effective.pre_timeout_s,
        "post_timeout": effective.post_timeout_s,
        **programs.shown(effective),
        "constraints": cast("list[ConstraintView]", more.constraints),
        "created_by": more.created_by,
        "needs": more.needs or [],
        "needs_within": more.needs_within_s,
        "group": more.group_name,
        "parent_job_id": more.parent_job_id,
        "forced_by": more.forced_by,
        "cache": cast("ReuseView | None", more.cache),
        "awaits": awaits_view.shown(found.uploads),
        "is_pinned": more.is_pinned,
        "round": row.round,
        "data": documents.data(data),
        "results": documents.results(results),
        "inputs": [_input(one, data, found.files) for one in definition.interface.inputs],
        "outputs": [_output(one, results, found.files) for one in definition.interface.outputs],
        "input_files": _named(data.get("input_data", ()), found.files),
        "products": _named(results.get("output_data", ()), found.files),
        "recipes": [],
        "job_exes": [executions.entry(one) for one in found.executions],
    }


def job_type(row: JobTypeInShort | JobRow) -> JobTypeOfJob:
    """Return the type of a job, or of an execution's job, in short."""
    return {
        "id": row.type_id,
        "name": row.type_name,
        "version": row.type_version,
        "title": row.type_title,
        "description": row.type_description,
        "category": row.type_category,
        "author_name": row.author_name,
        "author_url": row.author_url,
        "is_system": row.is_system,
        "is_long_running": row.is_long_running,
        "is_active": row.is_active,
        "is_operational": row.is_operational,
        "is_paused": row.is_paused,
        "icon_code": row.icon_code,
    }


def node(row: JobRow) -> NodeInShort | None:
    """Return the node of a row in short, null when it has none."""
    if row.node_id is None:
        return None
    return {"id": row.node_id, "name": row.node_name or "", "hostname": row.hostname or ""}


def warnings(unplaceable: Sequence[UnplaceableJobs]) -> Warnings:
    """Return the `warnings` of an answer about jobs that no node could ever hold; nothing where there are none."""
    if not unplaceable:
        return {}
    return {"warnings": [forecast_json.warning(one) for one in unplaceable]}


def _event(row: JobRow) -> EventInShort:
    """Return the event that made a job. Rows that nobody submitted, such as those of tests, have none of their own."""
    return {
        "id": row.event_id or 0,
        "type": row.event_type or "USER",
        "rule": None,
        "occurred": row.event_occurred or row.created,
    }


def _revision(row: JobRow) -> RevisionInShort:
    return {"id": row.revision_id, "job_type": {"id": row.type_id}, "revision_num": row.revision_num}


def _type_of_detail(row: JobRow, more: JobRest, definition: Definition, effective: Definition) -> JobTypeOfDetail:
    """Return the type with the limits of the revision; a command without a type of its own says itself what runs it."""
    return {
        **job_type(row),
        "uses_docker": effective.runner == "container",
        "docker_privileged": False,
        "docker_image": programs.image(effective),
        "revision_num": more.type_revision_num,
        "priority": definition.priority,
        "max_scheduled": more.max_scheduled,
        "timeout": definition.timeout_s,
        "max_tries": definition.max_tries,
        "cpus_required": units(definition.cpus),
        "mem_required": units(definition.mem),
        "disk_out_const_required": units(definition.disk_out),
        "disk_out_mult_required": units(definition.disk_out_mult),
        "created": more.type_created,
        "archived": more.archived,
        "paused": more.paused,
        "last_modified": more.type_last_modified,
    }


def _input(declared: DeclaredInput, data: JobDataDocument, known: Files) -> NamedValue:
    value = _value(declared.name, declared.type, data.get("input_data", ()), known)
    if declared.type == "property":
        return {"name": declared.name, "type": declared.type, "required": declared.required, "value": value}
    return {
        "name": declared.name,
        "type": declared.type,
        "required": declared.required,
        "media_types": list(declared.media_types),
        "value": value,
    }


def _output(declared: DeclaredOutput, results: JobResults, known: Files) -> NamedValue:
    value = _value(declared.name, declared.type, results.get("output_data", ()), known)
    if value is None and declared.type == "property":
        value = results.get("properties", {}).get(declared.name)
    return {
        "name": declared.name,
        "type": declared.type,
        "required": declared.required,
        "media_type": declared.media_type,
        "value": value,
    }


def _named(entries: Sequence[DataEntry], known: Files) -> list[FileView]:
    """Return the files that these entries name, each once."""
    ids = dict.fromkeys(one for given in entries for one in _ids(given))
    return [files.entry(known[one]) for one in ids if one in known]


def _value(name: str, kind: str, entries: Sequence[DataEntry], known: Files) -> FileView | list[FileView] | JsonValue:
    """Return what was given or made under a name: the value itself, a file, or a list of files."""
    given = next((one for one in entries if one["name"] == name), None)
    if given is None:
        return None
    if kind == "property":
        return given.get("value")
    shown = [files.entry(known[one]) for one in _ids(given) if one in known]
    if kind == "files":
        return shown
    return shown[0] if shown else None


def _ids(given: DataEntry) -> Sequence[int]:
    if given.get("file_id") is not None:
        return [given["file_id"]]
    return given.get("file_ids") or []
