"""Tokens: who may do what. Only an admin's token changes those of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from ganger import paging
from ganger.answers import LoginCode, MeView, SessionList, SessionView
from ganger.documents import JsonObject
from ganger.paging import Filter
from ganger.records import Token
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class TokensEndpoint:
    """The tokens of users and nodes."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Token]:
        """Yield tokens page by page, revoked ones included; never their secrets."""
        return paging.every(self._transport, Token, "/admin/tokens/", paging.params(filters), limit=limit)

    def create(
        self,
        name: str,
        *,
        kind: str = "user",
        role: str | None = None,
        project: str | None = None,
        expires: datetime | None = None,
        nodes: Sequence[str] | None = None,
        pools: Sequence[str] | None = None,
        projects: Sequence[str] | None = None,
    ) -> Token:
        """Make a token; `secret` of what is returned is shown this once. A user's has a role, a node's has none.

        The last three limit a node's: to names (`gpu-*` is a prefix), to pools, and to projects, whose jobs alone its nodes get.
        """
        body: JsonObject = {"name": name, "kind": kind}
        given = {"role": role, "project": project, "expires": None if expires is None else expires.isoformat()}
        limits = {"nodes": nodes, "pools": pools, "projects": projects}
        body |= {key: value for key, value in {**given, **limits}.items() if value is not None}
        return Token.read(self._transport.json(Call("POST", "/admin/tokens/", body=body)))

    def own(self) -> Token:
        """Return the token that this client sends, without its secret."""
        return Token.read(self._transport.json(Call("GET", "/token/")))

    def me(self) -> MeView:
        """Return whoever this client is: name, role, project and end of its token."""
        return cast("MeView", self._transport.json(Call("GET", "/me/")))

    def sessions(self) -> Sequence[SessionView]:
        """Return the browsers that are signed in with this token, the last used first."""
        return cast("SessionList", self._transport.json(Call("GET", "/me/sessions/")))["results"]

    def end_sessions(self) -> None:
        """Sign every browser out that signed in with this token."""
        self._transport.send(Call("DELETE", "/me/sessions/"))

    def login_code(self, *, valid_s: int = 60) -> LoginCode:
        """Return a one-time code that signs a browser in with the rights of this token, and the address that takes it."""
        return cast("LoginCode", self._transport.json(Call("POST", "/me/login-codes/", body={"valid_s": valid_s})))

    def rotate(self, token_id: int | None = None, *, overlap_s: int = 0, expires: datetime | None = None) -> Token:
        """Change a token, by default this client's own, for another one with the same rights, whose `secret` is shown this once.

        The one before is taken for `overlap_s` seconds more. Only an administrator says when the new one `expires`.
        """
        path = "/token/rotation/" if token_id is None else f"/admin/tokens/{token_id}/rotation/"
        body: JsonObject = {"overlap_s": overlap_s}
        if expires is not None:
            body["expires"] = expires.isoformat()
        return Token.read(self._transport.json(Call("POST", path, body=body)))

    def revoke(self, token_id: int) -> None:
        """Take a token away for good. Raises NotFound."""
        self._transport.send(Call("DELETE", f"/admin/tokens/{token_id}/"))
