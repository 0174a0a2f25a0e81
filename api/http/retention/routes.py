"""What is kept no longer: look at it, purge it now, see what is gone."""

from __future__ import annotations

from api.http.answers import Answer
from api.http.auth import permit_everywhere
from api.http.retention import view
from api.http.retention.schema import GoneList, PurgeBody, PurgeView
from api.http.routing import ApiCall, Routes
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.retention import purges

routes = Routes("administration")


@routes.post("/admin/purge/", role=Role.ADMIN, answers={200: PurgeView, 202: PurgeView})
def purge_now(call: ApiCall, body: PurgeBody) -> Answer[PurgeView]:
    """Delete now what is kept no longer; what a project keeps is its `retention`. Safe to repeat."""
    permit_everywhere(call.caller)
    if body.project is not None and not body.dry_run:
        raise InvalidInput("a purge is of all projects; with dry_run: true one can be looked at", field="project")
    found = purges.due_now(call.rt, body.project)
    if not body.dry_run:
        purges.begin(call.rt, call.caller)
    return Answer({"dry_run": body.dry_run, "results": [view.due(one) for one in found]}, 200 if body.dry_run else 202)


@routes.get("/admin/purge/", role=Role.ADMIN, answers={200: GoneList})
def show_purged(call: ApiCall) -> GoneList:
    """How much was purged so far."""
    permit_everywhere(call.caller)
    names = purges.project_names(call.rt)
    return {"purged": [view.gone(row, names.get(row.project_id)) for row in purges.amounts(call.rt)]}
