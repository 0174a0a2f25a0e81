"""Job types as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from api.http.job_types.answer_schema import (
    DefinitionView,
    JobTypeDetail,
    Revision,
    StatusCount,
    TypeRunning,
    TypeStatus,
)
from api.http.jobs import program_schema as programs
from api.http.jobs import view as jobs
from api.http.schema import document_view as documents
from api.http.schema.fields import units
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.definition import Definition
from scheduler.store.admin.type_listing import RevisionRow, RunningType, TypeRow, TypeStatusCount


def entry(row: TypeRow) -> JobTypeDetail:
    """Return a type as lists show it."""
    return _whole(row, definitions.read(row.definition))


def detail(row: TypeRow, definition: Definition) -> JobTypeDetail:
    """Return a type in full, its current revision included."""
    return _whole(row, definition)


def revision(row: RevisionRow) -> Revision:
    """Return one revision: what a job made with it sees."""
    return {
        "id": row.id,
        "job_type": {"id": row.job_type_id},
        "revision_num": row.revision_num,
        "created": row.created,
        **_definition(definitions.read(row.definition)),
    }


def statuses(rows: Iterable[TypeStatusCount]) -> list[TypeStatus]:
    """Return one entry per type with its counts by status and error category."""
    groups = (list(group) for _, group in groupby(rows, key=lambda row: row.type_id))
    return [{"job_type": jobs.job_type(group[0]), "job_counts": _counts(group)} for group in groups]


def running(row: RunningType) -> TypeRunning:
    """Return how many jobs of a type run."""
    return {"job_type": jobs.job_type(row), "count": row.count, "longest_running": row.longest_running}


def _counts(rows: Iterable[TypeStatusCount]) -> list[StatusCount]:
    return [
        {"status": row.status, "count": row.count, "most_recent": row.most_recent, "category": row.error_category}
        for row in rows
        if row.status is not None and row.count is not None and row.most_recent is not None
    ]


def _whole(row: TypeRow, definition: Definition) -> JobTypeDetail:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "title": row.title,
        "description": row.description,
        "category": row.category,
        "author_name": row.author_name,
        "author_url": row.author_url,
        "icon_code": row.icon_code,
        "is_system": row.is_system,
        "is_long_running": row.is_long_running,
        "is_operational": row.is_operational,
        "is_active": row.is_active,
        "is_paused": row.is_paused,
        "pause_reason": row.pause_reason,
        "max_scheduled": row.max_scheduled,
        "project": row.project,
        "uses_docker": definition.runner == "container",
        "docker_privileged": False,
        "docker_image": programs.image(definition),
        "revision_num": row.revision_num,
        **_definition(definition),
        "created": row.created,
        "archived": row.archived,
        "paused": row.paused,
        "last_modified": row.last_modified,
    }


def _definition(definition: Definition) -> DefinitionView:
    return {
        "command": list(definition.command),
        "shell": definition.shell,
        "pre_command": _argv(definition.pre_command),
        "post_command": _argv(definition.post_command),
        "cleanup_command": _argv(definition.cleanup_command),
        "environment": dict(definition.environment),
        **programs.shown(definition),
        "interface": documents.interface(definition.interface),
        "error_mapping": {"version": "1.0", "exit_codes": dict(definition.exit_codes)},
        "priority": definition.priority,
        "timeout": definition.timeout_s,
        "pre_timeout": definition.pre_timeout_s,
        "post_timeout": definition.post_timeout_s,
        "max_tries": definition.max_tries,
        "cpus_required": units(definition.cpus),
        "mem_required": units(definition.mem),
        "mem_mult_required": units(definition.mem_mult),
        "disk_out_const_required": units(definition.disk_out),
        "disk_out_mult_required": units(definition.disk_out_mult),
        "resources": {name: units(amount) for name, amount in definition.custom.items()},
    }


def _argv(argv: tuple[str, ...] | None) -> list[str] | None:
    return None if argv is None else list(argv)
