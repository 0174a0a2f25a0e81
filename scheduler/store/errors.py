"""Named errors: the rows of the catalogue, the built-in ones kept as the code has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text

from scheduler.rules.failures import Failure

_SEED = text("""
    INSERT INTO errors (name, title, description, category, should_be_retried, is_builtin)
    SELECT v.name, v.title, v.description, v.category, v.retried, true
    FROM unnest(CAST(:names AS text[]), CAST(:titles AS text[]), CAST(:descriptions AS text[]),
                CAST(:categories AS text[]), CAST(:retried AS boolean[]))
         AS v (name, title, description, category, retried)
    ORDER BY v.name
    ON CONFLICT (name) DO UPDATE
    SET title = EXCLUDED.title, description = EXCLUDED.description, category = EXCLUDED.category,
        should_be_retried = EXCLUDED.should_be_retried, is_builtin = true, last_modified = now()
    WHERE (errors.title, errors.description, errors.category, errors.should_be_retried, errors.is_builtin)
          IS DISTINCT FROM (EXCLUDED.title, EXCLUDED.description, EXCLUDED.category, EXCLUDED.should_be_retried, true)
""")

_NAMES = text("SELECT name FROM errors")


def seed(tx: Connection, failures: Iterable[Failure]) -> None:
    """Make the built-in errors what they are in the code; safe to repeat."""
    rows: list[Any] = list(failures)
    parameters = {
        "names": [row.name for row in rows],
        "titles": [row.title for row in rows],
        "descriptions": [row.description for row in rows],
        "categories": [row.category.value for row in rows],
        "retried": [row.should_be_retried for row in rows],
    }
    tx.execute(_SEED, parameters)


def names(tx: Connection) -> frozenset[str]:
    """Return the names of all errors."""
    return frozenset(tx.execute(_NAMES).scalars())
