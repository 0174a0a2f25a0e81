"""Tokens: who may do what."""

from __future__ import annotations

from api.http import paging
from api.http.answers import Answer
from api.http.links import public
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import changes
from api.http.tokens import view
from api.http.tokens.schema import (
    NewToken,
    OwnRotationBody,
    RotationBody,
    TokenBody,
    TokenChange,
    TokenList,
    TokensQuery,
    TokenView,
)
from scheduler.admin import token_admin
from scheduler.admin.token_admin import TokenChanges
from scheduler.admin.tokens import JoinTokenLimits
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
    limits = JoinTokenLimits(body.nodes, body.pools, body.projects)
    join = None if limits == JoinTokenLimits() else limits
    wanted = token_admin.TokenRequest(body.kind, body.name, role, body.project, body.expires, join)
    made, secret = token_admin.create(call.rt, call.caller, wanted)
    shown: NewToken = {**view.entry(token_admin.get(call.rt, call.caller, made)), "token": secret}
    return Answer(shown, 201, {"Location": public.url(f"/admin/tokens/{made}/")})


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
    return view.entry(token_admin.get(call.rt, call.caller, token_id))


@routes.delete("/admin/tokens/<id:token_id>/", role=Role.ADMIN, answers={204: None})
def revoke_token(call: ApiCall, token_id: int) -> Answer[None]:
    """Revoke a token for good: no process takes it any more, and what is being sent with it ends within a second."""
    token_admin.revoke(call.rt, call.caller, token_id)
    return Answer(None, 204)


@routes.post("/admin/tokens/<id:token_id>/rotation/", role=Role.ADMIN, answers={200: NewToken})
def rotate_token(call: ApiCall, token_id: int, body: RotationBody) -> NewToken:
    """Change a token for a new one with the same rights; the answer is the only place where that is ever shown."""
    return _rotated(call, token_id, body)


@routes.get("/token/", role=Role.VIEWER, answers={200: TokenView})
def show_own_token(call: ApiCall) -> TokenView:
    """The token that this request is sent with: its rights, and when it ends."""
    return view.entry(token_admin.get(call.rt, call.caller, call.caller.token_id))


@routes.post("/token/rotation/", role=Role.VIEWER, answers={200: NewToken})
def rotate_own_token(call: ApiCall, body: OwnRotationBody) -> NewToken:
    """Change the token that this request is sent with for a new one, which ends when it would have ended."""
    return _rotated(call, call.caller.token_id, RotationBody(overlap_s=body.overlap_s))


def _rotated(call: ApiCall, token_id: int, body: RotationBody) -> NewToken:
    secret = token_admin.rotate(call.rt, call.caller, token_id, overlap_s=body.overlap_s, expires=body.expires)
    return {**view.entry(token_admin.get(call.rt, call.caller, token_id)), "token": secret}
