"""Whoever asks: who that is, and the browsers that signed in with the same token."""

from __future__ import annotations

from typing import cast

from api.http.answers import Answer
from api.http.links import public
from api.http.me.schema import LoginCode, LoginCodeBody, MeView, SessionList
from api.http.routing import ApiCall, Routes
from api.http.tokens.schema import RoleWord
from scheduler.admin import projects, sessions
from scheduler.identity import Role

routes = Routes("me")


@routes.get("/me/", role=Role.VIEWER, answers={200: MeView})
def show_me(call: ApiCall) -> MeView:
    """Whoever asks: name, role, project and end of the token."""
    caller = call.caller
    assert caller.role is not None  # noqa: S101 - a node's token does not reach this
    return {
        "token_id": caller.token_id,
        "name": caller.name,
        "role": cast("RoleWord", caller.role.name.lower()),
        "project": caller.project,
        "expires": caller.expires,
        "organization": call.rt.settings.organization,
        "workspace": None if caller.project is None else projects.get(call.rt, caller, caller.project).uuid,
    }


@routes.get("/me/sessions/", role=Role.VIEWER, answers={200: SessionList})
def list_my_sessions(call: ApiCall) -> SessionList:
    """The browsers that are signed in with this token."""
    rows = sessions.of_caller(call.rt, call.caller)
    return {
        "results": [
            {"id": row.id, "browser": row.browser, "created": row.created, "seen": row.seen, "ends": row.ends}
            for row in rows
        ]
    }


@routes.delete("/me/sessions/", role=Role.VIEWER, answers={204: None})
def end_my_sessions(call: ApiCall) -> Answer[None]:
    """Sign every browser out that signed in with this token."""
    sessions.end_all(call.rt, call.caller)
    return Answer(None, 204)


@routes.post("/me/login-codes/", role=Role.VIEWER, answers={201: LoginCode})
def make_login_code(call: ApiCall, body: LoginCodeBody) -> Answer[LoginCode]:
    """A one-time code that signs a browser in with the rights of this token; `ganger ui` opens its address."""
    code = sessions.make_code(call.rt, call.caller, valid_s=body.valid_s)
    made: LoginCode = {"code": code, "url": f"{public.url('/ui/login')}#{code}", "valid_s": body.valid_s}
    return Answer(made, 201)
