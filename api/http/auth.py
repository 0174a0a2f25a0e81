"""Authentication: the bearer token of a request, looked up in the database at most once in a few seconds."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict

from flask import request

from scheduler.admin import tokens
from scheduler.errors import Forbidden, Unauthorized
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime

REMEMBER_S = 5.0
"""A process that has just seen a token goes on taking it for this long after it was revoked."""

MAX_REMEMBERED = 10_000


class TokenCache:
    """Keeps the callers of tokens that were valid a moment ago, by digest; an app has one, which its threads share."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def caller(self) -> Caller:
        """Return who sent this request; raises Unauthorized."""
        secret = bearer()
        key = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        with self._lock:
            known = self._seen.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        caller = tokens.authenticate(self._rt, secret)
        with self._lock:
            self._seen[key] = (time.monotonic() + REMEMBER_S, caller)
            while len(self._seen) > MAX_REMEMBERED:
                self._seen.popitem(last=False)
        return caller

    def forget(self) -> None:
        """Drop all tokens at once: one of them was revoked or changed in this process."""
        with self._lock:
            self._seen.clear()


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
