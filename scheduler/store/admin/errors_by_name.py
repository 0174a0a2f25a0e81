"""Named errors as the verbs need them: by name, with whether a try that ended so is repeated."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from scheduler.identifiers import ErrorId


@dataclass(frozen=True, slots=True)
class NamedError:
    """One row of the errors table."""

    id: ErrorId
    name: str
    should_be_retried: bool


_ALL = text("SELECT id, name, should_be_retried FROM errors")


def by_name(tx: Connection) -> dict[str, NamedError]:
    """Return every named error; there are a few dozen."""
    return {row.name: NamedError(row.id, row.name, row.should_be_retried) for row in tx.execute(_ALL)}
