"""The kinds of columns the tables are made of, and the checks that follow from the rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Identity, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from scheduler.documents import JsonValue


class TransactionId(UserDefinedType[str]):
    """A 64-bit transaction id: rows written since a snapshot are found by it, whatever order they commit in."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the name PostgreSQL gives this type."""
        return "xid8"


def identity() -> Column[int]:
    """Return the primary key `id` that the database numbers."""
    return Column("id", BigInteger, Identity(always=False), primary_key=True)


def reference(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    """Return a foreign key without cascade: history is never deleted by accident."""
    return Column(name, BigInteger, ForeignKey(target), nullable=nullable)


def moment(name: str, *, now: bool = False) -> Column[datetime]:
    """Return a UTC timestamp; with `now` it is filled in and never null."""
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=text("now()") if now else None)


def document(name: str, *, default: str | None = "{}") -> Column[JsonValue]:
    """Return a JSON column, `default` being its JSON text; None makes it nullable."""
    if default is None:
        return Column(name, JSONB, nullable=True)
    return Column(name, JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))


def moved_xid() -> Column[str]:
    """Return the column that says which transaction last moved the row."""
    return Column("moved_xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()"))


def one_of(column: str, words: Iterable[str], name: str) -> CheckConstraint:
    """Return a CHECK that holds a text column to its vocabulary."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=name)
