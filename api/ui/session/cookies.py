"""The session's cookie: only the server reads it, only requests of our own pages carry it, and only pages heed it.

Behind TLS it is a `__Host-` cookie, which no neighbour under the same domain can set. On plain HTTP its name has the port in it,
as cookies do not tell two ports of one host apart, and two installations on one machine would sign each other out.
"""

from __future__ import annotations

from flask import Response, request

MOST_LETTERS = 200


def name() -> str:
    """Return the cookie's name for the address that this request came to."""
    if request.is_secure and not request.script_root:
        return "__Host-ganger"
    port = request.host.rpartition(":")[2] if ":" in request.host.rpartition("]")[2] else "80"
    return f"ganger-session-{port}"


def read() -> str | None:
    """Return the secret that the cookie holds, None when there is none that could be one."""
    found = request.cookies.get(name())
    return found if found and len(found) <= MOST_LETTERS and found.isascii() else None


def keep(response: Response, secret: str, *, longest_s: float) -> None:
    """Have the browser send the session's secret with every request of its pages."""
    response.set_cookie(
        name(), secret, max_age=int(longest_s), path=_path(), httponly=True, samesite="Lax", secure=request.is_secure
    )


def forget(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(name(), path=_path(), httponly=True, samesite="Lax", secure=request.is_secure)


def _path() -> str:
    return "/" if name().startswith("__Host-") else f"{request.script_root}/ui/"
