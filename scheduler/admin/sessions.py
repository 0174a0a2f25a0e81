"""Sessions: a browser shows a token, or a one-time code, once, and gets a secret of its own that opens the pages and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.admin import tokens
from scheduler.errors import Unauthorized
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime
from scheduler.store.admin import sessions
from scheduler.store.admin.sessions import SessionRow

SESSION, CODE = "gs_", "gl_"
"""How a session's secret and a one-time code begin."""

CODE_BYTES = 18
LONGEST_CODE_S = 600
BROWSER_LETTERS = 200


def begin(rt: Runtime, shown: str, *, browser: str) -> str:
    """Begin a session for whoever shows this token or one-time code; return its secret. Raises Unauthorized."""
    secret = SESSION + secrets.token_urlsafe(tokens.RANDOM_BYTES)
    if shown.startswith(CODE):
        with rt.db.begin() as tx:
            taken = sessions.take_code(tx, tokens.digest(shown))
            if taken is None:
                raise Unauthorized("this link has been used, or is too old; `ganger ui` makes a new one")
            _insert(rt, tx, secret, taken.token_id, taken.token_sha256, browser)
        return secret
    caller = tokens.authenticate(rt, shown)
    if caller.role is None:
        raise Unauthorized("this is a node's token; people sign in with their own")
    with rt.db.begin() as tx:
        _insert(rt, tx, secret, caller.token_id, tokens.digest(shown), browser)
    return secret


def recognise(rt: Runtime, secret: str) -> Caller:
    """Return the caller whose session this is; raises Unauthorized once it is over or its token is."""
    with rt.db.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        found = sessions.find(connection, tokens.digest(secret), idle_s=rt.settings.session_idle_s)
        if found is None:
            raise Unauthorized("the session is over; sign in again")
        sessions.touch(connection, found.id)
    role = Role[found.role.upper()]
    return Caller(found.token_id, found.name, role, found.project_id, found.project, expires=found.expires)


def end(rt: Runtime, secret: str) -> None:
    """End a session; safe to repeat."""
    with rt.db.begin() as tx:
        sessions.end(tx, tokens.digest(secret))


def end_all(rt: Runtime, caller: Caller) -> None:
    """End every session that was begun with the caller's token."""
    with rt.db.begin() as tx:
        sessions.end_all(tx, caller.token_id)


def of_caller(rt: Runtime, caller: Caller) -> Sequence[SessionRow]:
    """Return the sessions that were begun with the caller's token, the last used first."""
    with rt.db.begin() as tx:
        return sessions.of_token(tx, caller.token_id, idle_s=rt.settings.session_idle_s)


def make_code(rt: Runtime, caller: Caller, *, valid_s: float) -> str:
    """Return a code that begins one session with the rights of the caller's token, within so many seconds."""
    code = CODE + secrets.token_urlsafe(CODE_BYTES)
    with rt.db.begin() as tx:
        sessions.insert_code(tx, tokens.digest(code), caller.token_id, valid_s=min(valid_s, LONGEST_CODE_S))
    return code


def _insert(rt: Runtime, tx: Connection, secret: str, token_id: int, token_sha256: bytes, browser: str) -> None:
    idle_s, longest_s = rt.settings.session_idle_s, rt.settings.session_s
    named = "".join(letter for letter in browser if letter.isprintable())[:BROWSER_LETTERS]
    sessions.insert(
        tx, tokens.digest(secret), token_id, token_sha256, browser=named, longest_s=longest_s, idle_s=idle_s
    )
