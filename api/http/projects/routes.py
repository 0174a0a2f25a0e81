"""Projects: the tenants and their limits."""

from __future__ import annotations

from functools import partial
from typing import cast

from api.http import paging
from api.http.answers import Answer
from api.http.auth import permit_everywhere
from api.http.links import public
from api.http.paging import PageQuery
from api.http.projects import view
from api.http.projects.schema import (
    ProjectBody,
    ProjectChange,
    ProjectList,
    ProjectsQuery,
    ProjectView,
    SecretBody,
    SecretNames,
)
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import changes
from scheduler.admin import projects, secrets
from scheduler.admin.projects import DemandChanges, ProjectChanges, QuotaChanges, RetentionChanges
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.retention import policy
from scheduler.rules.lifecycle.retention import Retention
from scheduler.store.admin import projects as stored
from scheduler.store.admin.projects import NewProject

routes = Routes("administration")


@routes.get("/admin/projects/", role=Role.ADMIN, answers={200: ProjectList}, orders=tuple(stored.PROJECTS.keys))
def list_projects(call: ApiCall, query: ProjectsQuery) -> ProjectList:
    """Projects by name."""
    asked = paging.window(query, tuple(stored.PROJECTS.keys), ["name"])
    chosen = stored.condition(tuple(query.name), is_paused=query.is_paused, project_id=call.caller.project_id)
    return paging.envelope(
        projects.page(call.rt, chosen, asked),
        asked,
        partial(view.entry, kept=_kept(call), organization=call.rt.settings.organization),
    )


@routes.post("/admin/projects/", role=Role.ADMIN, answers={201: ProjectView})
def create_project(call: ApiCall, body: ProjectBody) -> Answer[ProjectView]:
    """Make a project."""
    permit_everywhere(call.caller)
    quota = body.quota.model_dump(exclude_none=True)
    retention = body.retention.model_dump(exclude_none=True)
    demands = body.demands.model_dump(exclude_none=True)
    new = cast("NewProject", {**body.model_dump(), "quota": quota, "retention": retention, "demands": demands})
    projects.create(call.rt, call.caller, new)
    headers = {"Location": public.url(f"/admin/projects/{body.name}/")}
    return Answer(
        view.entry(projects.get(call.rt, call.caller, body.name), _kept(call), call.rt.settings.organization),
        201,
        headers,
    )


@routes.get("/admin/projects/<name>/", role=Role.ADMIN, answers={200: ProjectView})
def show_project(call: ApiCall, name: str) -> ProjectView:
    """One project."""
    return view.entry(projects.get(call.rt, call.caller, name), _kept(call), call.rt.settings.organization)


@routes.patch("/admin/projects/<name>/", role=Role.ADMIN, answers={200: ProjectView})
def change_project(call: ApiCall, name: str, body: ProjectChange) -> ProjectView:
    """Change a project: its weight, its quota, a pause; of its own an admin of one project changes title and secret_types."""
    facts = changes(body, ProjectChanges)
    if not facts:
        raise InvalidInput("the body changes nothing")
    if "quota" in facts:
        facts["quota"] = changes(body.quota, QuotaChanges)
    if "retention" in facts:
        facts["retention"] = changes(body.retention, RetentionChanges)
    if "demands" in facts:
        facts["demands"] = changes(body.demands, DemandChanges)
    projects.change(call.rt, call.caller, name, facts)
    return view.entry(projects.get(call.rt, call.caller, name), _kept(call), call.rt.settings.organization)


@routes.delete("/admin/projects/<name>/", role=Role.ADMIN, answers={204: None})
def delete_project(call: ApiCall, name: str) -> Answer[None]:
    """Delete a project that nothing belongs to."""
    permit_everywhere(call.caller)
    projects.delete(call.rt, call.caller, name)
    return Answer(None, 204)


@routes.get("/admin/projects/<name>/secrets/", role=Role.ADMIN, answers={200: SecretNames})
def list_secrets(call: ApiCall, name: str, query: PageQuery) -> SecretNames:
    """The names of a project's secrets; no request answers with a value."""
    return paging.part(query, [view.secret(row) for row in secrets.entries(call.rt, call.caller, name)])


@routes.post("/admin/projects/<name>/secrets/", role=Role.ADMIN, answers={200: SecretNames, 201: SecretNames})
def put_secret(call: ApiCall, name: str, body: SecretBody) -> Answer[SecretNames]:
    """Set a secret, new or anew."""
    fresh = secrets.put(call.rt, call.caller, name, body.name, body.value)
    return Answer(list_secrets(call, name, PageQuery()), 201 if fresh else 200)


@routes.delete("/admin/projects/<name>/secrets/<secret>/", role=Role.ADMIN, answers={204: None})
def delete_secret(call: ApiCall, name: str, secret: str) -> Answer[None]:
    """Delete a secret; jobs that name it fail from now on."""
    secrets.remove(call.rt, call.caller, name, secret)
    return Answer(None, 204)


def _kept(call: ApiCall) -> Retention:
    return policy.of_installation(call.rt.settings)
