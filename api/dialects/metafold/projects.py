"""Projects: each is a project of Ganger, whose title is its name here."""

from __future__ import annotations

import secrets
from typing import Any

import orjson
from flask import Response, g

from api.dialects import repeated
from api.dialects.metafold import dates, replies, search, view
from api.dialects.metafold.schema import MetafoldProject, MetafoldProjectBody, MetafoldProjectChange, MetafoldQuery
from api.http.answers import Answer
from api.http.auth import permit_everywhere
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import given
from scheduler.admin import projects as admin
from scheduler.admin.projects import ProjectChanges
from scheduler.documents import Document
from scheduler.identifiers import ProjectId
from scheduler.identity import Role
from scheduler.lookup import repeats
from scheduler.runtime import Runtime
from scheduler.search import projects
from scheduler.store.admin.project_summaries import TABLE
from scheduler.store.admin.projects import NewProject

routes = Routes("metafold projects")

MOST_BODY = 8 * 1024 * 1024
"""Bytes of a project with the data that applications keep in it."""


def body_limit(rt: Runtime) -> int:
    """Return the most bytes of a body that holds a project."""
    return max(MOST_BODY, rt.settings.max_body)


@routes.get("/projects", role=Role.VIEWER, any_query=True)
def list_projects(call: ApiCall, query: MetafoldQuery) -> Response:
    """Every project that the token may see."""
    terms, order = search.conditions(query.q, TABLE.texts), search.order(query.sort, TABLE.orders)
    date = dates.form()
    return replies.every(view.project(row, date) for row in projects.find(call.rt, call.caller, terms, order))


@routes.post("/projects", role=Role.ADMIN, body_limit=body_limit)
def create_project(call: ApiCall, body: MetafoldProjectBody) -> Answer[MetafoldProject]:
    """Make a project, new or like another one."""
    permit_everywhere(call.caller)
    digest = repeated.sent(call, orjson.dumps(g.body).decode())
    made = repeats.earlier_project(call.rt, digest) or _make(call, body, digest)
    repeated.note_of(call, "project", made)
    return replies.one(view.project(projects.one(call.rt, call.caller, str(made)), dates.form()), 201)


def _make(call: ApiCall, body: MetafoldProjectBody, digest: str) -> ProjectId:
    attributes: Document = {"access": body.access, "type": body.type, "project": body.project, "graph": body.graph}
    if body.source is not None:
        source = projects.one(call.rt, call.caller, body.source).attributes
        attributes = {**source, **{name: value for name, value in attributes.items() if value is not None}}
    new: NewProject = {
        "name": f"p-{secrets.token_hex(6)}",
        "title": body.name,
        "weight": 1.0,
        "quota": {},
        "retention": {},
        "demands": {},
        "secret_types": [],
        "attributes": attributes,
    }
    return admin.create(call.rt, call.caller, new, digest)


@routes.get("/projects/<project>", role=Role.VIEWER, any_query=True)
def show_project(call: ApiCall, project: str) -> Answer[MetafoldProject]:
    """One project."""
    row = projects.one(call.rt, call.caller, project)
    repeats.known(call.rt, "project", row.id)
    return replies.one(view.project(row, dates.form()))


@routes.patch("/projects/<project>", role=Role.ADMIN, body_limit=body_limit)
def change_project(call: ApiCall, project: str, body: MetafoldProjectChange) -> Answer[MetafoldProject]:
    """Change a project; a body that says nothing changes nothing."""
    row = projects.one(call.rt, call.caller, project)
    facts: dict[str, Any] = given(body)
    if not facts:
        return show_project(call, project)
    changes: ProjectChanges = {"attributes": {name: value for name, value in facts.items() if name != "name"}}
    if "name" in facts:
        changes["title"] = facts["name"]
    admin.change(call.rt, call.caller, row.name, changes)
    return show_project(call, project)


@routes.delete("/projects/<project>", role=Role.ADMIN)
def delete_project(call: ApiCall, project: str) -> Answer[None]:
    """Delete a project with all that it has."""
    row = projects.one(call.rt, call.caller, project)
    permit_everywhere(call.caller)
    admin.discard(call.rt, call.caller, row.name)
    return Answer(None, 204)
