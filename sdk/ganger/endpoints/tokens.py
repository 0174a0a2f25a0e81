"""Tokens: who may do what. Only an admin's token may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ganger import paging
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
    ) -> Token:
        """Make a token; `secret` of what is returned is shown this once. A user's has a role, a node's has none."""
        body: JsonObject = {"name": name, "kind": kind}
        given = {"role": role, "project": project, "expires": None if expires is None else expires.isoformat()}
        body |= {key: value for key, value in given.items() if value is not None}
        return Token.read(self._transport.json(Call("POST", "/admin/tokens/", body=body)))

    def revoke(self, token_id: int) -> None:
        """Take a token away for good. Raises NotFound."""
        self._transport.send(Call("DELETE", f"/admin/tokens/{token_id}/"))
