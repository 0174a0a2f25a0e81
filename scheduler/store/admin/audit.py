"""The record of who did what: one row per act of a person that changes how the installation behaves."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from sqlalchemy import Connection, text

_WRITE = text("""
    INSERT INTO audit (actor, action, subject, reason, detail)
    VALUES (:actor, :action, :subject, :reason, CAST(:detail AS jsonb))
""")


def write(
    tx: Connection,
    actor: str,
    action: str,
    subject: str,
    *,
    reason: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write one act, such as ("ann", "node.pause", "node:7"), in the transaction that performs it."""
    document = orjson.dumps(dict(detail or {})).decode()
    tx.execute(_WRITE, {"actor": actor, "action": action, "subject": subject, "reason": reason, "detail": document})
