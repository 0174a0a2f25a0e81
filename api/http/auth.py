"""Authentication: the bearer token of a request, and again while a long answer lasts.

Who is behind a token is remembered for a second at most. What changes tokens, sessions or nodes over this server makes all its
processes forget at once; a change through another machine, or in the database itself, holds within that second.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from flask import g, request

from api.http.serving import shared_epoch
from scheduler.admin import sessions, tokens
from scheduler.errors import Forbidden, Unauthorized
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime, utc_now

LOOK_AGAIN_S = 1.0
"""An answer that takes longer than this ends when its token does."""


REMEMBERED_S = 1.0
MOST_REMEMBERED = 10_000

BEAT = "/node/beat/"

CHANGES_CALLERS = ("/admin/", "/token/", "/nodes/", "/node/register/")
"""Where requests that change something may change who somebody is."""


class _RememberedCaller(NamedTuple):
    caller: Caller
    until: float
    epoch: bytes


_known: WeakKeyDictionary[object, dict[str, _RememberedCaller]] = WeakKeyDictionary()


class TokenWatch:
    """Looks again, at most once a second, whether the token of this request is still valid."""

    def __init__(self, rt: Runtime) -> None:
        self._rt, self._secret, self._looked = rt, credential(), time.monotonic()

    def check(self) -> None:
        """Raise Unauthorized once the token was revoked or has expired."""
        if time.monotonic() - self._looked >= LOOK_AGAIN_S:
            (sessions.recognise if is_session(self._secret) else tokens.authenticate)(self._rt, self._secret)
            self._looked = time.monotonic()

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces of a long body for as long as the token is valid; raises Unauthorized."""
        for piece in pieces:
            self.check()
            yield piece


def caller(rt: Runtime, *, anew: bool = False) -> Caller:
    """Return who sent this request, as remembered unless it is asked `anew`; raises Unauthorized.

    A node that sends a heartbeat is remembered for as long as may be: the statement that counts it looks at its credential.
    """
    secret = bearer()
    remembered = _known.setdefault(rt.db, {})
    known, epoch = remembered.get(secret), shared_epoch.current()
    lasts = known is not None and (time.monotonic() < known.until or (known.caller.credential and request.path == BEAT))
    if known is not None and lasts and known.epoch == epoch and not anew:
        expires = known.caller.expires
        if expires is None or utc_now() < expires:
            return known.caller
    remembered.pop(secret, None)
    found = tokens.authenticate(rt, secret)
    if len(remembered) >= MOST_REMEMBERED:
        remembered.clear()
    remembered[secret] = _RememberedCaller(found, time.monotonic() + REMEMBERED_S, epoch)
    return found


def forget_callers() -> None:
    """Let every process of this server look again who its callers are, if this request may have changed that."""
    if request.method not in {"GET", "HEAD"} and request.path.startswith(CHANGES_CALLERS):
        shared_epoch.advance()


def credential() -> str:
    """Return the secret that this request is sent with: the session's where `api.ui` found one, else the bearer token."""
    kept: str | None = g.get("session")
    return bearer() if kept is None else kept


def is_session(secret: str) -> bool:
    """Tell whether a secret is a session's; the JSON API takes none, it finds tokens only."""
    return secret.startswith(sessions.SESSION)


def bearer() -> str:
    """Return the token of the Authorization header, the only place that is read. Raises Unauthorized."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > 200 or not secret.isascii():  # noqa: PLR2004
        raise Unauthorized("a bearer token is needed: Authorization: Bearer <token>")
    return secret


def permit(caller: Caller, needed: Role | str) -> None:
    """Raise Forbidden unless the caller's role reaches; `needed` "node" is the node protocol."""
    if needed == "node":
        if not caller.is_node:
            raise Forbidden("only a node's token reaches the node protocol")
    elif caller.role is None:
        raise Forbidden("a node's token reaches only the node protocol")
    elif isinstance(needed, Role) and caller.role < needed:
        raise Forbidden(f"this needs the role {needed.name.lower()}; the token has {caller.role.name.lower()}")


def permit_everywhere(caller: Caller) -> None:
    """Raise Forbidden for a token that is bound to one project: the request concerns all projects."""
    if caller.project_id is not None:
        raise Forbidden("this concerns every project; the token is bound to one")
