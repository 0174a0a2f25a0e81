"""Executions as the API shows them."""

from __future__ import annotations

from typing import cast

from api.http.executions.answer_schema import ExecutionDetail, ExecutionEntry, UsageView
from api.http.executions.log_answer_schema import JobLogSearchView, LogSearchView
from api.http.named_errors import view as errors
from api.http.schema import document_view as documents
from api.http.schema.fields import units
from scheduler.executions.logs.job_search import JobLogSearch
from scheduler.executions.logs.search import LogSearch
from scheduler.executions.usage import ExecutionUsage
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.lifecycle.outcome import StopReason
from scheduler.store.executions.listing import ExecutionRow


def entry(row: ExecutionRow) -> ExecutionEntry:
    """Return an execution as lists and job details show it."""
    return {
        "id": row.id,
        "uuid": row.uuid,
        "attempt": row.attempt,
        "member": row.member,
        "status": row.status,
        "command_arguments": documents.arguments(row.command or ()),
        "timeout": row.timeout_s,
        "pre_started": row.pre_started,
        "pre_completed": row.pre_completed,
        "pre_exit_code": row.pre_exit_code,
        "job_started": row.job_started,
        "job_completed": row.job_completed,
        "job_exit_code": row.job_exit_code,
        "post_started": row.post_started,
        "post_completed": row.post_completed,
        "post_exit_code": row.post_exit_code,
        "cancel_requested": cast("StopReason | None", row.cancel_requested),
        "message": row.message,
        "created": row.created,
        "queued": row.queued,
        "started": row.started,
        "ended": row.ended,
        "last_modified": row.last_modified,
        "released": row.released,
        "output_purged": row.output_purged,
        "job": {"id": row.job_id},
        "job_type": {"id": row.type_id, "name": row.type_name, "version": row.type_version},
        "node": {"id": row.node_id, "name": row.node_name, "hostname": row.hostname},
        "error": errors.entry(row),
        "usage": row.usage or {},
    }


def detail(row: ExecutionRow, definition: Definition) -> ExecutionDetail:
    """Return an execution in full: its command, environment and resources, its results, and why it was placed on its node."""
    return {
        **entry(row),
        "command": row.command or [],
        "environment": dict(definition.environment),
        "cpus_scheduled": units(row.cpus),
        "mem_scheduled": units(row.mem),
        "disk_scheduled": units(row.disk),
        "resources": {name: units(amount) for name, amount in (row.custom or {}).items()},
        "results": documents.results(row.results or {}),
        "why": row.why,
    }


def usage(found: ExecutionUsage) -> UsageView:
    """Return what an execution used, beside what it asked for."""
    row, peak = found.execution, found.peaks
    return {
        "execution_id": row.id,
        "attempt": row.attempt,
        "member": row.member,
        "asked": {"cpus": units(row.cpus) or None, "mem": units(row.mem) or None, "disk": units(row.disk) or None},
        "peak": {"cpus": _rounded(peak.cpus), "mem": _rounded(peak.mem_mib), "disk": _rounded(peak.disk_mib)},
        "every": float(found.every_s),
        "points": [
            {
                "time": one.time,
                "seconds": round(one.seconds, 3),
                "cpus": _rounded(one.cpus),
                "mem": _rounded(one.mem_mib),
                "disk": _rounded(one.disk_mib),
            }
            for one in found.points
        ],
        "message": found.message,
    }


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 3)


def log_search(found: LogSearch) -> LogSearchView:
    """Return the lines that a search found in one output."""
    return {
        "hits": [{"line": hit.line, "offset": hit.offset, "text": hit.text} for hit in found.hits],
        "next_offset": found.next_offset,
        "next_line": found.next_line,
        "is_finished": found.finished,
    }


def job_log_search(found: JobLogSearch) -> JobLogSearchView:
    """Return the lines that a search found in the outputs of one job."""
    return {
        "hits": [
            {
                "line": hit.line,
                "offset": hit.offset,
                "text": hit.text,
                "execution_id": try_.id,
                "attempt": try_.attempt,
                "member": try_.member,
            }
            for try_, hit in found.hits
        ],
        "searched": found.searched,
        "next_execution_id": found.next_place[0] if found.next_place else None,
        "next_offset": found.next_place[1] if found.next_place else None,
        "next_line": found.next_place[2] if found.next_place else None,
    }
