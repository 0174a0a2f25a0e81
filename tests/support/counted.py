"""How many statements and transactions of the database something costs, as the driver sends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus


@dataclass(slots=True)
class StatementCount:
    """What was sent: the statements in their order, each with whether it began a transaction."""

    statements: list[tuple[str, bool]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.statements)

    @property
    def transactions(self) -> int:
        return sum(begins for _, begins in self.statements)

    def __str__(self) -> str:
        return "\n".join(f"{'|' if begins else ' '} {' '.join(text.split())[:140]}" for text, begins in self.statements)


@contextmanager
def counted() -> Iterator[StatementCount]:
    """Count every statement that this process sends meanwhile."""
    count, sends = StatementCount(), psycopg.Cursor.execute

    def execute(cursor: Any, query: Any, *arguments: Any, **named: Any) -> Any:
        begins = cursor.connection.info.transaction_status == TransactionStatus.IDLE
        count.statements.append((str(query), begins))
        return sends(cursor, query, *arguments, **named)

    psycopg.Cursor.execute = execute  # type: ignore[method-assign, assignment]  # it takes what the original takes
    try:
        yield count
    finally:
        psycopg.Cursor.execute = sends  # type: ignore[method-assign]  # it is the original
