"""Job types: versioned templates of jobs."""

from __future__ import annotations

from api.http import paging
from api.http.answers import Answer
from api.http.job_types import answer_schema as type_answers
from api.http.job_types import view
from api.http.job_types.schema import (
    JobTypeBody,
    JobTypeChange,
    JobTypesQuery,
    OwnedPageQuery,
    OwnerQuery,
    ReplaceQuery,
    WindowQuery,
    definition_part,
    facts_part,
)
from api.http.jobs.program_schema import as_written
from api.http.links import public
from api.http.paging import PageQuery
from api.http.routing import ApiCall, Routes
from api.http.schema import times
from scheduler.errors import GangerError
from scheduler.identifiers import JobTypeId
from scheduler.identity import Role
from scheduler.jobs import job_types
from scheduler.jobs.job_types import TypeName
from scheduler.store.admin import type_listing
from scheduler.store.admin.type_listing import TypeFilter

routes = Routes("job types")


@routes.get("/job-types/", role=Role.VIEWER, answers={200: type_answers.JobTypeList}, orders=tuple(type_listing.KEYS))
def list_job_types(call: ApiCall, query: JobTypesQuery) -> type_answers.JobTypeList:
    """Job types, by name and version."""
    asked = paging.window(query, tuple(type_listing.KEYS), ["name", "version"])
    started, ended = times.window(query.started, query.ended, call.rt.now())
    chosen = TypeFilter(
        started=started,
        ended=ended,
        id=tuple(query.id),
        name=tuple(query.name),
        category=tuple(query.category),
        keyword=tuple(query.keyword),
        is_active=query.is_active,
        is_system=query.is_system,
        is_operational=query.is_operational,
        is_paused=query.is_paused,
        project=tuple(query.project),
    )
    return paging.envelope(job_types.page(call.rt, call.caller, chosen, asked), asked, view.entry)


@routes.post(
    "/job-types/", role=Role.OPERATOR, answers={200: type_answers.JobTypeDetail, 201: type_answers.JobTypeDetail}
)
def create_job_type(call: ApiCall, query: ReplaceQuery, body: JobTypeBody) -> Answer[type_answers.JobTypeDetail]:
    """Make a job type with its first revision: the token's project owns it, or the installation, whose types all use.

    With `replace` (200) the one that its owner has already becomes exactly this.
    """
    meant = TypeName(body.name, body.version, body.project)
    write = job_types.put if query.replace else job_types.create
    try:
        made = write(call.rt, call.caller, meant, facts_part(body), definition_part(body))
    except GangerError as error:
        raise as_written(error, {"": body}) from None
    headers = {"Location": public.url(f"/job-types/{made.id}/")}
    return Answer(view.detail(*job_types.get(call.rt, call.caller, made.id)), 201 if made.is_new else 200, headers)


@routes.post("/job-types/validation/", role=Role.OPERATOR, answers={200: type_answers.CheckAnswer})
def validate_job_type(call: ApiCall, body: JobTypeBody) -> type_answers.CheckAnswer:
    """Say what creating this type would say, and change nothing."""
    meant = TypeName(body.name, body.version, body.project)
    found = job_types.check(call.rt, call.caller, meant, facts_part(body), definition_part(body))
    wrong = () if found.error is None else as_written(found.error, {"": body}).faults
    return {
        "is_valid": not wrong,
        "errors": [{"name": fault.field or "", "description": fault.sentence} for fault in wrong],
        "warnings": [{"name": "", "description": sentence} for sentence in found.warnings],
    }


@routes.get("/job-types/status/", role=Role.VIEWER, answers={200: type_answers.TypeStatusList})
def list_job_type_statuses(call: ApiCall, query: WindowQuery) -> type_answers.TypeStatusList:
    """Per type, jobs by status and error category since `started` (default 3 hours); running ones whenever they began.

    Of the others the 50,000 that changed last are counted; if there are more, `counted_since` says since when.
    """
    started, ended = times.window(query.started, query.ended, call.rt.now())
    rows = job_types.statuses(call.rt, call.caller, started, ended)
    counted_since = rows[0].counted_since if rows else None
    return {**paging.part(query, view.statuses(rows)), "counted_since": counted_since}


@routes.get("/job-types/running/", role=Role.VIEWER, answers={200: type_answers.TypeRunningList})
def list_running_job_types(call: ApiCall, query: PageQuery) -> type_answers.TypeRunningList:
    """Types that have running jobs: how many, and since when the first of them."""
    return paging.part(query, [view.running(row) for row in job_types.running(call.rt, call.caller)])


@routes.get("/job-types/<id:job_type_id>/", role=Role.VIEWER, answers={200: type_answers.JobTypeDetail})
def show_job_type(call: ApiCall, job_type_id: JobTypeId) -> type_answers.JobTypeDetail:
    """One job type with its current revision."""
    return view.detail(*job_types.get(call.rt, call.caller, job_type_id))


@routes.patch("/job-types/<id:job_type_id>/", role=Role.OPERATOR, answers={200: type_answers.JobTypeDetail})
def change_job_type(call: ApiCall, job_type_id: JobTypeId, body: JobTypeChange) -> type_answers.JobTypeDetail:
    """Change a job type: pause, archive, describe, or make a new revision."""
    try:
        job_types.change(call.rt, call.caller, job_type_id, facts_part(body), definition_part(body))
    except GangerError as error:
        raise as_written(error, {"": body}) from None
    return view.detail(*job_types.get(call.rt, call.caller, job_type_id))


@routes.get("/job-types/<id:job_type_id>/revisions/", role=Role.VIEWER, answers={200: type_answers.RevisionList})
def list_revisions(call: ApiCall, job_type_id: JobTypeId, query: PageQuery) -> type_answers.RevisionList:
    """A type's revisions, newest first."""
    asked = paging.window(query, ("revision_num",), ["-revision_num"])
    return paging.envelope(job_types.revisions(call.rt, call.caller, job_type_id, asked), asked, view.revision)


@routes.get(
    "/job-types/<id:job_type_id>/revisions/<id:revision_num>/", role=Role.VIEWER, answers={200: type_answers.Revision}
)
def show_revision(call: ApiCall, job_type_id: JobTypeId, revision_num: int) -> type_answers.Revision:
    """One revision of a type."""
    return view.revision(job_types.revision(call.rt, call.caller, job_type_id, revision_num))


@routes.get("/job-types/<words:name>/<version>/", role=Role.VIEWER, answers={200: type_answers.JobTypeDetail})
def show_job_type_by_name(call: ApiCall, name: str, version: str, query: OwnerQuery) -> type_answers.JobTypeDetail:
    """One job type, by name and version."""
    return show_job_type(call, _id(call, name, version, query))


@routes.patch("/job-types/<words:name>/<version>/", role=Role.OPERATOR, answers={200: type_answers.JobTypeDetail})
def change_job_type_by_name(
    call: ApiCall, name: str, version: str, query: OwnerQuery, body: JobTypeChange
) -> type_answers.JobTypeDetail:
    """Change a job type, by name and version."""
    return change_job_type(call, _id(call, name, version, query), body)


@routes.get("/job-types/<words:name>/<version>/revisions/", role=Role.VIEWER, answers={200: type_answers.RevisionList})
def list_revisions_by_name(call: ApiCall, name: str, version: str, query: OwnedPageQuery) -> type_answers.RevisionList:
    """A type's revisions, newest first, by name and version."""
    return list_revisions(call, _id(call, name, version, query), query)


@routes.get(
    "/job-types/<words:name>/<version>/revisions/<id:revision_num>/",
    role=Role.VIEWER,
    answers={200: type_answers.Revision},
)
def show_revision_by_name(
    call: ApiCall, name: str, version: str, revision_num: int, query: OwnerQuery
) -> type_answers.Revision:
    """One revision of a type, by name and version."""
    return show_revision(call, _id(call, name, version, query), revision_num)


def _id(call: ApiCall, name: str, version: str, query: OwnerQuery | OwnedPageQuery) -> JobTypeId:
    return job_types.find(call.rt, call.caller, TypeName(name, version, query.project))
