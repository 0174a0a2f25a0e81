"""Reports: specified, changed, run on versions, and their results, alone and compared."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from api.dialects import paging, problems
from api.dialects.blockmodel import place, report_view
from api.dialects.blockmodel.report_bodies import ComparisonBody, RunReportBody, SpecificationBody
from api.dialects.paging import OffsetQuery
from api.http import api_runtime
from api.http.answers import Answer, dump
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import Digits, Query
from api.http.waiting import parking
from scheduler.data_sets import reporting, working
from scheduler.data_sets.reporting import StartedReport
from scheduler.errors import Conflict, NotFound
from scheduler.feed.change_feed import FeedInterest
from scheduler.identity import Role
from scheduler.jobs import queries
from scheduler.rules.lifecycle.moves import FINAL_JOB
from scheduler.store.data_sets.reports import ResultRow, SpecificationRow
from scheduler.store.data_sets.sets import DataSetRow

routes = Routes("block model reports")

REPORTS = f"{place.MODEL}/report-specifications"
REPORT = f"{REPORTS}/<report>"

WAIT_S = 30
"""How long a result is waited for whose job has not ended: clients ask for it as soon as they have asked for the run."""


NOT_ENDED = "the run that makes this result has not ended"


class ReportsQuery(OffsetQuery):
    """Which part of a list."""

    limit: paging.Limit = 50


class RunNowQuery(Query):
    """Whether a report is run at once."""

    run_now: paging.Flag = False


class ComparisonQuery(Query):
    """Which results are compared, and to how many decimals."""

    from_: Annotated[UUID, Field(alias="from")]
    to: UUID
    decimal_places: Annotated[int, Field(ge=0, le=10), Digits] | None = None


@routes.get(REPORTS, role=Role.VIEWER, any_query=True)
def list_report_specifications(
    call: ApiCall, org: str, workspace: str, model: str, query: ReportsQuery
) -> dict[str, Any]:
    """The reports of a block model, the newest first."""
    row = place.model(call, org, workspace, model)
    rows, total = reporting.page(call.rt, row, query.offset, query.limit)
    shown = [report_view.specification(one, row.uuid) for one in rows]
    return {**paging.page(query, shown, total), "referenced_units": report_view.units(rows)}


@routes.post(REPORTS, role=Role.SUBMITTER, any_query=True)
def create_report_specification(
    call: ApiCall, org: str, workspace: str, model: str, body: SpecificationBody, query: RunNowQuery
) -> Answer[dict[str, Any]]:
    """Specify a report, and run it at once if that is asked for."""
    row = place.model(call, org, workspace, model)
    made = reporting.specify(call.rt, call.caller, row, body.words())
    return Answer(_with_job(call, row, made, run=query.run_now), 201)


@routes.get(REPORT, role=Role.VIEWER, any_query=True)
def get_report_specification(call: ApiCall, org: str, workspace: str, model: str, report: str) -> dict[str, Any]:
    """One report."""
    row = place.model(call, org, workspace, model)
    return report_view.specification(_one(call, row, report), row.uuid)


@routes.patch(REPORT, role=Role.SUBMITTER, any_query=True)
def update_report_specification(
    call: ApiCall, org: str, workspace: str, model: str, report: str, body: SpecificationBody, query: RunNowQuery
) -> dict[str, Any]:
    """Change a report; what it tells counts its revision on."""
    row = place.model(call, org, workspace, model)
    found = _one(call, row, report)
    changed = reporting.change(call.rt, row, found.uuid, body.words(found.asked))
    return _with_job(call, row, changed, run=query.run_now)


@routes.post(f"{REPORT}/jobs", role=Role.SUBMITTER, any_query=True)
def run_report(call: ApiCall, org: str, workspace: str, model: str, report: str) -> Answer[dict[str, Any]]:
    """Run a report on a version, the newest if none is named."""
    row = place.model(call, org, workspace, model)
    found = _one(call, row, report)
    started = _run(call, row, found, place.body(call, RunReportBody).version_uuid)
    shown = {
        "bm_uuid": row.uuid,
        "job_url": place.job_url(call, row.project_uuid, row.uuid, started.job.job_uuid),
        "job_uuid": started.job.job_uuid,
        "report_specification_uuid": found.uuid,
        "report_result_uuid": started.result_uuid,
        "version_id": started.version.number,
        "version_uuid": started.version.uuid,
    }
    return Answer(shown, 201)


@routes.get(f"{REPORT}/results", role=Role.VIEWER, any_query=True)
def list_report_results(
    call: ApiCall, org: str, workspace: str, model: str, report: str, query: ReportsQuery
) -> paging.OffsetPage[dict[str, Any]]:
    """The results of a report, the newest first."""
    row = place.model(call, org, workspace, model)
    found = _one(call, row, report)
    rows, total = reporting.results(call.rt, found, query.offset, query.limit)
    shown = [report_view.summary(one, found.uuid, working.numbered(call.rt, row, one.version)) for one in rows]
    return paging.page(query, shown, total)


@routes.get(f"{REPORT}/results/<result>", role=Role.VIEWER, any_query=True)
def get_report_result(call: ApiCall, org: str, workspace: str, model: str, report: str, result: str) -> dict[str, Any]:
    """One result. While its job goes on it is waited for, for half a minute; 404 after that, 409 where the job came to nothing."""
    row = place.model(call, org, workspace, model)
    found, uuid = _one(call, row, report), place.uuid(result, "result")
    told = reporting.result(call.rt, found, uuid)
    if isinstance(told, ResultRow):
        return _shown(call, row, found, told)

    def look() -> tuple[dict[str, Any], bool]:
        told = reporting.result(call.rt, found, uuid)
        if isinstance(told, ResultRow):
            return _shown(call, row, found, told), True
        job = queries.job(call.rt, call.caller, told).row
        if job.status in FINAL_JOB:
            raise Conflict(f"the run that was to make this result is {job.status}: {job.message or 'see its job'}")
        return {}, False

    interest = FeedInterest(job_ids=frozenset({told}))
    feed = api_runtime.of_this_app().feed
    shown = parking.look_until(parking.wait_of(WAIT_S), feed, interest, look, _too_soon, HTTPStatus.NOT_FOUND)
    if not shown:
        raise NotFound(NOT_ENDED)
    return shown


@routes.get(f"{REPORT}/comparisons", role=Role.VIEWER, any_query=True)
def compare_report_results(
    call: ApiCall, org: str, workspace: str, model: str, report: str, query: ComparisonQuery
) -> dict[str, Any]:
    """Two results side by side, with their differences."""
    row = place.model(call, org, workspace, model)
    found = _one(call, row, report)
    sides = [reporting.result(call.rt, found, uuid) for uuid in (query.from_, query.to)]
    one, other = (_told(side) for side in sides)
    places = (working.numbered(call.rt, row, one.version), working.numbered(call.rt, row, other.version))
    return report_view.compared(one, other, found.uuid, row.uuid, places, query.decimal_places)


@routes.post(f"{REPORT}/comparisons", role=Role.VIEWER, any_query=True)
def request_report_comparison(call: ApiCall, org: str, workspace: str, model: str, report: str) -> dict[str, Any]:
    """The results of two versions that can be compared. 409 where one of them has none yet: run the report on it."""
    row = place.model(call, org, workspace, model)
    found = _one(call, row, report)
    body = place.body(call, ComparisonBody)
    sides = [reporting.result_of(call.rt, row, found, uuid) for uuid in (body.from_version_uuid, body.to_version_uuid)]
    for version, uuid in sides:
        if uuid is None:
            raise Conflict(
                f"the report has no result of version {version.number} yet; run it on version {version.uuid}"
            )
    return {"from_result_uuid": sides[0][1], "to_result_uuid": sides[1][1], "job_url": None}


def _one(call: ApiCall, row: DataSetRow, word: str) -> SpecificationRow:
    return reporting.get(call.rt, row, place.uuid(word, "report"))


def _run(call: ApiCall, row: DataSetRow, found: SpecificationRow, version: UUID | None) -> StartedReport:
    admission = api_runtime.of_this_app().forecaster.admission
    return reporting.run(call.rt, call.caller, row, found.uuid, version, admission)


def _with_job(call: ApiCall, row: DataSetRow, found: SpecificationRow, *, run: bool) -> dict[str, Any]:
    job_url = None
    if run:
        started = _run(call, row, found, None)
        job_url = place.job_url(call, row.project_uuid, row.uuid, started.job.job_uuid)
    return {**report_view.specification(found, row.uuid), "job_url": job_url}


def _shown(call: ApiCall, row: DataSetRow, found: SpecificationRow, told: ResultRow) -> dict[str, Any]:
    return report_view.result(told, found.uuid, row.uuid, working.numbered(call.rt, row, told.version))


def _too_soon(_found: object, _watch: object) -> bytes:
    return dump(problems.problem(HTTPStatus.NOT_FOUND, "not-found", NOT_ENDED))


def _told(side: object) -> ResultRow:
    if not isinstance(side, ResultRow):
        raise NotFound(NOT_ENDED)
    return side
