"""Tokens as the API shows them."""

from __future__ import annotations

from typing import Any


def entry(row: Any) -> dict[str, Any]:
    """Return a token, without anything that could be used as one."""
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "role": row.role,
        "project": row.project,
        "is_valid": row.is_valid,
        "created": row.created,
        "expires": row.expires,
        "revoked": row.revoked,
        "last_used": row.last_used,
    }
