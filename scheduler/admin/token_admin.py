"""Administers tokens: create, rename, expire, revoke. An administrator of one project sees only the tokens of that project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection

from scheduler.admin import tokens
from scheduler.admin.tokens import JoinTokenLimits
from scheduler.errors import Conflict, Forbidden, InvalidInput, NotFound
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, token_listing
from scheduler.store.admin import tokens as stored
from scheduler.store.admin.token_listing import TokenFilter, TokenRow
from scheduler.store.paging import PageWindow, RowPage


class TokenChanges(TypedDict, total=False):
    """The fields of a token that can be changed; `expires` None means never."""

    name: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The token that somebody asks for: `kind` is user or node; `project` None means the caller's own, else every project.

    `join` are the limits of a node's token.
    """

    kind: str
    name: str
    role: Role | None = None
    project: str | None = None
    expires: datetime | None = None
    join: JoinTokenLimits | None = None


def create(rt: Runtime, caller: Caller, wanted: TokenRequest) -> tuple[int, str]:
    """Create a token; return its id and its secret, which cannot be shown again.

    Raises InvalidInput for a user's token without a role, a node's with one, an unknown project, or a time that has
    passed; Forbidden for more than the caller's own project.
    """
    _check(rt, caller, wanted)
    kind, name, role, project = wanted.kind, wanted.name, wanted.role, wanted.project or caller.project
    try:
        made, secret = tokens.create(
            rt, kind=kind, role=role, project=project, name=name, expires=wanted.expires, join=wanted.join
        )
    except NotFound as error:
        raise InvalidInput(str(error), field=error.field) from None
    word = None if role is None else role.name.lower()
    with rt.db.begin() as tx:
        detail = {"kind": kind, "name": name, "role": word, "project": project}
        audit.write(tx, caller.name, "token.create", f"token:{made}", detail=detail)
    return made, secret


def change(rt: Runtime, caller: Caller, token_id: int, facts: TokenChanges) -> None:
    """Rename a token or change its expiry (`expires` None: never). Raises NotFound, and Conflict for a revoked token."""
    _check_ahead(rt, facts.get("expires"))
    with rt.db.begin() as tx:
        row = _get(tx, caller, token_id)
        if row.revoked is not None:
            raise Conflict("the token is revoked and stays so")
        token_listing.update(tx, token_id, name=facts.get("name", row.name), expires=facts.get("expires", row.expires))
        audit.write(tx, caller.name, "token.change", f"token:{token_id}", detail={"fields": sorted(facts)})


def rotate(rt: Runtime, caller: Caller, token_id: int, *, overlap_s: int = 0, expires: datetime | None = None) -> str:
    """Change a token for another one with the same rights and return that, which cannot be shown again.

    The one before is taken for `overlap_s` seconds more. `expires` None keeps when it ends. Raises NotFound, Conflict for a
    token that is revoked or has ended.
    """
    _check_ahead(rt, expires)
    with rt.db.begin() as tx:
        row = _get(tx, caller, token_id)
        if row.revoked is not None:
            raise Conflict("the token is revoked and stays so")
        if not row.is_valid and expires is None:
            raise Conflict("the token has expired: say until when the new one is valid", field="expires")
        secret = tokens.fresh(row.kind)
        stored.rotate(tx, token_id, tokens.digest(secret), overlap_s=overlap_s, expires=expires or row.expires)
        audit.write(tx, caller.name, "token.rotate", f"token:{token_id}", detail={"overlap_s": overlap_s})
    return secret


def revoke(rt: Runtime, caller: Caller, token_id: int) -> None:
    """Revoke a token for good; safe to repeat. Raises NotFound, and Conflict for the caller's own token."""
    if token_id == caller.token_id:
        raise Conflict("a token does not revoke itself: make another one and revoke this one with it")
    with rt.db.begin() as tx:
        _get(tx, caller, token_id)
        if token_listing.revoke(tx, token_id):
            audit.write(tx, caller.name, "token.revoke", f"token:{token_id}")


def page(rt: Runtime, chosen: TokenFilter, window: PageWindow) -> RowPage[TokenRow]:
    """Return one page of tokens; `chosen.project_id` limits it to one project."""
    with rt.db.begin() as tx:
        return paging.read(tx, token_listing.TOKENS, token_listing.condition(chosen), window)


def get(rt: Runtime, caller: Caller, token_id: int) -> TokenRow:
    """Return one token's row; raises NotFound."""
    with rt.db.begin() as tx:
        return _get(tx, caller, token_id)


def _get(tx: Connection, caller: Caller, token_id: int) -> TokenRow:
    row = token_listing.first(tx, TokenFilter(id=(token_id,), project_id=caller.project_id))
    if row is None:
        raise NotFound(f"there is no token {token_id}")
    return row


def _check(rt: Runtime, caller: Caller, wanted: TokenRequest) -> None:
    """Raise InvalidInput or Forbidden for a token that cannot be, or that this caller may not create."""
    if (wanted.kind == "user") != (wanted.role is not None):
        raise InvalidInput("a user's token has a role, a node's has none", field="role")
    if caller.project is not None and (wanted.kind == "node" or wanted.project not in {None, caller.project}):
        raise Forbidden("the token is bound to another project", field="project")
    if wanted.kind == "node" and wanted.project is not None:
        raise InvalidInput("a node works for every project, or for those in projects", field="project")
    if wanted.kind == "user" and wanted.join is not None:
        raise InvalidInput("only a node's token is limited to nodes, pools and projects", field="kind")
    _check_ahead(rt, wanted.expires)


def _check_ahead(rt: Runtime, expires: datetime | None) -> None:
    if expires is not None and expires <= rt.now():
        raise InvalidInput("expires has passed already", field="expires")
