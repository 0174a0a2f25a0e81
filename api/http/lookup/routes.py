"""Looking across things: groups of jobs, a search over everything with a name, the record of acts, figures of a job type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flask import Response, stream_with_context

from api.http import paging, transfer
from api.http.auth import permit_everywhere
from api.http.jobs.filtering import job_filter
from api.http.lookup import exporting
from api.http.lookup.schema import (
    AuditEntry,
    AuditList,
    AuditQuery,
    ExportQuery,
    JobGroupList,
    JobGroupsQuery,
    SearchQuery,
    SearchResult,
    SearchResults,
    StatisticsQuery,
    TypeStatisticsView,
)
from api.http.routing import ApiCall, Routes
from api.http.schema import times
from scheduler.identifiers import JobTypeId
from scheduler.identity import Role
from scheduler.jobs import job_types, queries
from scheduler.lookup import acts, groups, search, statistics
from scheduler.store.jobs import listing
from scheduler.store.lookup import audit_listing
from scheduler.store.lookup.audit_listing import AuditFilter, AuditRow

routes = Routes("lookup")
EXPORT = {
    "content": {"text/csv": {"schema": {"type": "string"}}, "application/x-ndjson": {"schema": {"type": "string"}}}
}
ORDERS = tuple(audit_listing.AUDIT.keys)


@routes.get("/jobs/groups/", role=Role.VIEWER, answers={200: JobGroupList})
def count_job_groups(call: ApiCall, query: JobGroupsQuery) -> JobGroupList:
    """Jobs that match, counted by status, job type, project, node, error, pool, priority, or the value of a label."""
    found = groups.of_jobs(call.rt, call.caller, job_filter(call, query), query.group_by)
    return {
        "group_by": query.group_by,
        "results": [{"value": one.value, "count": one.count, "count_exact": one.exact} for one in found],
    }


@routes.get("/jobs/export/", role=Role.VIEWER, answers={200: EXPORT}, orders=tuple(listing.KEYS))
def export_jobs(call: ApiCall, query: ExportQuery) -> Response:
    """Jobs that match as a file: comma-separated values for spreadsheets, or a JSON document a line; the newest first by default.

    The file is made while it is sent, page by page: a job that changes meanwhile is in it as it was when its page was read. Texts that a
    spreadsheet would take for a formula begin with an apostrophe in comma-separated values.
    """
    order = paging.parse_order(query.order or ["-id"], tuple(listing.KEYS))
    pages = queries.every_page(call.rt, call.caller, job_filter(call, query), order, query.limit)
    lines, kind = (
        (exporting.csv_lines, "text/csv; charset=utf-8; header=present")
        if query.format == "csv"
        else (exporting.json_lines, "application/x-ndjson")
    )
    name = f"jobs-{call.rt.now():%Y%m%d-%H%M%S}.{query.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    body = transfer.paced(stream_with_context(lines(pages)))
    return Response(body, headers=headers, content_type=kind)


@routes.get("/search/", role=Role.VIEWER, answers={200: SearchResults})
def search_everything(call: ApiCall, query: SearchQuery) -> SearchResults:
    """Jobs by id or name; job types, nodes, pools and projects by the beginning of their names."""
    found = search.search(call.rt, call.caller, query.q)
    return {
        "results": [
            cast("SearchResult", {"kind": one.kind, "id": one.id, "name": one.name, "detail": one.detail})
            for one in found
        ]
    }


@routes.get("/audit/", role=Role.OPERATOR, answers={200: AuditList}, orders=ORDERS)
def list_audit(call: ApiCall, query: AuditQuery) -> AuditList:
    """What people did that changes how the installation behaves, the newest first. With a token for every project."""
    permit_everywhere(call.caller)
    asked = paging.window(query, ORDERS, ["-id"])
    started, ended = times.window(query.started, query.ended, call.rt.now())
    chosen = AuditFilter(tuple(query.actor), tuple(query.action), query.subject, started, ended)
    return paging.envelope(acts.page(call.rt, chosen, asked), asked, _act)


@routes.get("/job-types/<id:job_type_id>/statistics/", role=Role.VIEWER, answers={200: TypeStatisticsView})
def show_type_statistics(call: ApiCall, job_type_id: JobTypeId, query: StatisticsQuery) -> TypeStatisticsView:
    """What the runs of a type took, and what was asked for them: waits, run times, memory, cpus, errors."""
    job_types.get(call.rt, call.caller, job_type_id)
    since = times.moment(query.started, "started", call.rt.now())
    found = statistics.of_type(call.rt, call.caller, job_type_id, since=since)
    return {
        "since": found.since,
        "runs": found.runs,
        "by_status": dict(found.by_status),
        "by_error": dict(found.by_error),
        "wait_s": _named(found.wait_s),
        "run_s": _named(found.run_s),
        "memory": {
            "used": _named(found.mem_mib),
            "asked": found.mem_asked_mib,
            "suggested": found.mem_suggested_mib,
            "histogram": [{"up_to_mib": limit, "count": count} for limit, count in found.mem_histogram],
        },
        "cpus": {"used": _named(found.cpus_used), "asked": found.cpus_asked, "hours": dict(found.cpu_hours)},
        "latest": [
            {"status": run.status, "ended": run.ended, "run_s": run.run_s, "peak_mem_mib": run.peak_mem_mib}
            for run in found.latest
        ],
    }


def _named(quantiles: Mapping[float, float]) -> dict[str, float]:
    return {str(point): round(value, 3) for point, value in quantiles.items()}


def _act(row: AuditRow) -> AuditEntry:
    return {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "reason": row.reason,
        "detail": row.detail,
    }
