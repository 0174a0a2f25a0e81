"""Tokens: who may do what."""

from __future__ import annotations

from flask import request

from api.http import api_runtime, paging
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import changes
from api.http.tokens import view
from api.http.tokens.schema import NewToken, TokenBody, TokenChange, TokenList, TokensQuery, TokenView
from scheduler.admin import token_admin
from scheduler.admin.token_admin import TokenChanges
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.store.admin import token_listing
from scheduler.store.admin.token_listing import TokenFilter

routes = Routes("administration")


@routes.get("/admin/tokens/", role=Role.ADMIN, answers={200: TokenList}, orders=tuple(token_listing.TOKENS.keys))
def list_tokens(call: ApiCall, query: TokensQuery) -> TokenList:
    """Tokens, revoked ones included, the newest last; never their secrets."""
    asked = paging.window(query, tuple(token_listing.TOKENS.keys), ["created"])
    chosen = TokenFilter(
        id=tuple(query.id),
        name=tuple(query.name),
        kind=tuple(query.kind),
        role=tuple(query.role),
        project=tuple(query.project),
        is_valid=query.is_valid,
        project_id=call.caller.project_id,
    )
    return paging.envelope(token_admin.page(call.rt, chosen, asked), asked, view.entry)


@routes.post("/admin/tokens/", role=Role.ADMIN, answers={201: NewToken})
def create_token(call: ApiCall, body: TokenBody) -> Answer[NewToken]:
    """Make a token; the answer is the only place where its secret is ever shown."""
    role = None if body.role is None else Role[body.role.upper()]
    wanted = token_admin.TokenRequest(body.kind, body.name, role, body.project, body.expires)
    made, secret = token_admin.create(call.rt, call.caller, wanted)
    shown: NewToken = {**view.entry(token_admin.get(call.rt, call.caller, made)), "token": secret}
    return Answer(shown, 201, {"Location": f"{request.url_root}admin/tokens/{made}/"})


@routes.get("/admin/tokens/<id:token_id>/", role=Role.ADMIN, answers={200: TokenView})
def show_token(call: ApiCall, token_id: int) -> TokenView:
    """One token."""
    return view.entry(token_admin.get(call.rt, call.caller, token_id))


@routes.patch("/admin/tokens/<id:token_id>/", role=Role.ADMIN, answers={200: TokenView})
def change_token(call: ApiCall, token_id: int, body: TokenChange) -> TokenView:
    """Rename a token, or change when it expires."""
    facts = changes(body, TokenChanges)
    if not facts:
        raise InvalidInput("the body changes nothing")
    token_admin.change(call.rt, call.caller, token_id, facts)
    api_runtime.of_this_app().tokens.forget()
    return view.entry(token_admin.get(call.rt, call.caller, token_id))


@routes.delete("/admin/tokens/<id:token_id>/", role=Role.ADMIN, answers={204: None})
def revoke_token(call: ApiCall, token_id: int) -> Answer[None]:
    """Revoke a token for good; within five seconds no process takes it any more."""
    token_admin.revoke(call.rt, call.caller, token_id)
    api_runtime.of_this_app().tokens.forget()
    return Answer(None, 204)
