"""Named errors as the verbs need them: by name, with whether a try that ended so is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, text

from scheduler.identifiers import ErrorId, ProjectId


@dataclass(frozen=True, slots=True)
class NamedError:
    """One row of the errors table."""

    id: ErrorId
    name: str
    should_be_retried: bool
    category: str


_COMMON = text("SELECT id, name, should_be_retried, category FROM errors WHERE project_id IS NULL")

_SEEN = text("""
    SELECT e.id, e.name, e.should_be_retried, e.category, e.project_id
    FROM errors e
    WHERE e.project_id IS NULL
       OR e.project_id = ANY(:owners)
          -- A later release may have built in what a project called one of its own.
          AND NOT EXISTS (SELECT FROM errors b WHERE b.project_id IS NULL AND b.is_builtin AND b.name = e.name)
""")

_BY_ID = text("SELECT id, name, should_be_retried, category FROM errors WHERE id = ANY(:ids)")


def common(tx: Connection) -> dict[str, NamedError]:
    """Return the installation's errors by name, the built-in ones among them; there are a few dozen."""
    return {row.name: _error(row) for row in tx.execute(_COMMON)}


def seen_by(tx: Connection, owners: Iterable[ProjectId]) -> dict[ProjectId | None, dict[str, NamedError]]:
    """Return the errors by name that types of each of these projects mean, its own before the installation's.

    Under None are those that the installation's types mean.
    """
    wanted = sorted(set(owners))
    rows = tx.execute(_SEEN, {"owners": wanted}).all()
    ours = {row.name: _error(row) for row in rows if row.project_id is None}
    found: dict[ProjectId | None, dict[str, NamedError]] = {owner: dict(ours) for owner in (None, *wanted)}
    for row in rows:
        if row.project_id is not None:
            found[row.project_id][row.name] = _error(row)
    return found


def by_id(tx: Connection, ids: Iterable[ErrorId]) -> dict[ErrorId, NamedError]:
    """Return errors by their ids, whoever owns them."""
    return {row.id: _error(row) for row in tx.execute(_BY_ID, {"ids": sorted(set(ids))})}


def _error(row: Row[tuple[ErrorId, str, bool, str]]) -> NamedError:
    return NamedError(row.id, row.name, row.should_be_retried, row.category)
