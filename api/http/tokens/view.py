"""Tokens as the API shows them."""

from __future__ import annotations

from typing import cast

from api.http.tokens.schema import Kind, RoleWord, TokenView
from scheduler.store.admin.token_listing import TokenRow


def entry(row: TokenRow) -> TokenView:
    """Return a token, without anything that could be used as one."""
    return {
        "id": row.id,
        "name": row.name,
        "kind": cast("Kind", row.kind),
        "role": cast("RoleWord | None", row.role),
        "project": row.project,
        "nodes": row.nodes,
        "pools": row.pools,
        "projects": row.projects,
        "is_valid": row.is_valid,
        "created": row.created,
        "expires": row.expires,
        "revoked": row.revoked,
        "last_used": row.last_used,
    }
