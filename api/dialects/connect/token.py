"""`/connect/token`: a program shows the name or id of a token and the token itself, and gets it back as a bearer token.

Administrators of Ganger make and revoke tokens; this is only the way in which these clients ask for one. So a token that was
revoked ends at once, whatever was granted for it. `client_id` is the token's name or id, `client_secret` the token.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_plus

from flask import request
from typing_extensions import TypedDict

from api.http import strict_json
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from scheduler.admin import tokens
from scheduler.errors import InvalidInput, Unauthorized
from scheduler.identity import Caller

routes = Routes("connect")

LASTS_S = 86_400
"""Seconds after which a client asks again."""

_MOST_SECRET = 200


class GrantView(TypedDict):
    """A bearer token and the seconds that it is good for."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


@routes.post("/connect/token", role="public", any_query=True)
def connect_token(call: ApiCall) -> Answer[GrantView]:
    """Return a bearer token for client credentials, which come as a form or in an Authorization header."""
    form = request.form.to_dict()
    for name, value in form.items():
        strict_json.check_text(value, name)
    if form.get("grant_type") != "client_credentials":
        raise InvalidInput("grant_type must be client_credentials", field="grant_type")
    name, secret = _credentials(form)
    if not name or not secret.isascii() or not 0 < len(secret) <= _MOST_SECRET:
        raise Unauthorized("client_id and client_secret are needed")
    caller = tokens.authenticate(call.rt, secret)
    if caller.role is None or name not in {caller.name, str(caller.token_id)}:
        raise Unauthorized("the client is not known, or has another secret")
    granted: GrantView = {
        "access_token": secret,
        "token_type": "Bearer",
        "expires_in": _left_s(call, caller),
        "scope": form.get("scope", ""),
    }
    return Answer(granted, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _left_s(call: ApiCall, caller: Caller) -> int:
    left = LASTS_S if caller.expires is None else int((caller.expires - call.rt.now()).total_seconds())
    return max(1, min(LASTS_S, left))


def _credentials(form: dict[str, str]) -> tuple[str, str]:
    scheme, _, word = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "").strip()
    try:
        name, _, secret = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret).strip()
