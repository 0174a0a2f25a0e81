"""Named errors: why tries fail, and whether they are repeated."""

from __future__ import annotations

from typing import cast

from api.http import paging
from api.http.answers import Answer
from api.http.links import public
from api.http.named_errors import view
from api.http.named_errors.schema import ErrorBody, ErrorChange, ErrorDetail, ErrorList, ErrorsQuery
from api.http.routing import ApiCall, Routes
from api.http.schema import times
from api.http.schema.fields import changes
from scheduler.admin import named_errors
from scheduler.admin.named_errors import ErrorFields
from scheduler.errors import InvalidInput
from scheduler.identifiers import ErrorId
from scheduler.identity import Role
from scheduler.store.admin import errors
from scheduler.store.admin.errors import ErrorChanges, ErrorFilter

routes = Routes("errors")


@routes.get("/errors/", role=Role.VIEWER, answers={200: ErrorList}, orders=tuple(errors.ERRORS.keys))
def list_errors(call: ApiCall, query: ErrorsQuery) -> ErrorList:
    """Errors by name, the built-in ones included."""
    asked = paging.window(query, tuple(errors.ERRORS.keys), ["name"])
    started, ended = times.window(query.started, query.ended, call.rt.now())
    chosen = ErrorFilter(
        started=started,
        ended=ended,
        id=tuple(query.id),
        name=tuple(query.name),
        category=tuple(query.category),
        is_builtin=query.is_builtin,
        project=tuple(query.project),
    )
    return paging.envelope(named_errors.page(call.rt, call.caller, chosen, asked), asked, view.detail)


@routes.post("/errors/", role=Role.OPERATOR, answers={201: ErrorDetail})
def create_error(call: ApiCall, body: ErrorBody) -> Answer[ErrorDetail]:
    """Add an error that job types of the same project can map exit codes to, or all if it is the installation's."""
    facts = cast("ErrorFields", body.model_dump(exclude={"project"}))
    made = named_errors.create(call.rt, call.caller, facts, body.project)
    headers = {"Location": public.url(f"/errors/{made}/")}
    return Answer(view.detail(named_errors.get(call.rt, call.caller, made)), 201, headers)


@routes.get("/errors/<id:error_id>/", role=Role.VIEWER, answers={200: ErrorDetail})
def show_error(call: ApiCall, error_id: ErrorId) -> ErrorDetail:
    """One error."""
    return view.detail(named_errors.get(call.rt, call.caller, error_id))


@routes.patch("/errors/<id:error_id>/", role=Role.OPERATOR, answers={200: ErrorDetail})
def change_error(call: ApiCall, error_id: ErrorId, body: ErrorChange) -> ErrorDetail:
    """Change an error that is not built in."""
    facts = changes(body, ErrorChanges)
    if not facts:
        raise InvalidInput("the body changes nothing")
    named_errors.change(call.rt, call.caller, error_id, facts)
    return view.detail(named_errors.get(call.rt, call.caller, error_id))
