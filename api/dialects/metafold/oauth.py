"""`/oauth/token`: a program shows the name or id of a token and the token itself, and gets it back as a bearer token.

Tokens are made and revoked by administrators of Ganger; here is only the way in which these clients ask for one. So a token that
is revoked ends at once, whatever was granted for it. `client_id` is the token's name or id, `client_secret` the token.
"""

from __future__ import annotations

from flask import request

from api.dialects.metafold import replies
from api.dialects.metafold.schema import GrantedToken
from api.http import strict_json
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from scheduler.admin import tokens
from scheduler.errors import InvalidInput, Unauthorized
from scheduler.identity import Caller, Role

routes = Routes("metafold tokens")

LASTS_S = 86_400
"""Seconds after which a client asks again."""

_SCOPES = {
    Role.VIEWER: ("projects:read", "assets:read", "jobs:read"),
    Role.SUBMITTER: ("assets:write", "jobs:write"),
    Role.ADMIN: ("projects:write",),
}


@routes.post("/oauth/token", role="public", any_query=True)
def grant_token(call: ApiCall) -> Answer[GrantedToken]:
    """Return a bearer token for client credentials, which come as JSON or as a form."""
    body = _body()
    if body.get("grant_type") != "client_credentials":
        raise InvalidInput("grant_type must be client_credentials", field="grant_type")
    caller, secret = _caller(call, body)
    left = LASTS_S if caller.expires is None else int((caller.expires - call.rt.now()).total_seconds())
    granted: GrantedToken = {
        "access_token": secret,
        "token_type": "Bearer",
        "expires_in": max(1, min(LASTS_S, left)),
        "scope": scopes(caller),
    }
    return replies.one(granted)


def scopes(caller: Caller) -> str:
    """Return what a token may do here, in the words of this dialect."""
    reached = [words for role, words in _SCOPES.items() if caller.role is not None and caller.role >= role]
    return " ".join(word for words in reached for word in words)


def _caller(call: ApiCall, body: dict[str, object]) -> tuple[Caller, str]:
    name, secret = body.get("client_id"), body.get("client_secret")
    if not isinstance(name, str) or not isinstance(secret, str) or not secret.isascii() or not 1 <= len(secret) <= 200:  # noqa: PLR2004
        raise Unauthorized("client_id and client_secret are needed")
    caller = tokens.authenticate(call.rt, secret.strip())
    if caller.role is None or name not in {caller.name, str(caller.token_id)}:
        raise Unauthorized("the client is not known, or has another secret")
    return caller, secret.strip()


def _body() -> dict[str, object]:
    if request.mimetype == "application/json":
        body = strict_json.loads(request.get_data(cache=False))
        if not isinstance(body, dict):
            raise InvalidInput("the body is no JSON object")
        return {**body}
    return {**request.form.to_dict()}
