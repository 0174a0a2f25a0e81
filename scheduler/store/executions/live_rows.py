"""How a statement that finds executions by their ids says that they are live."""

from __future__ import annotations


def not_released(table: str) -> str:
    """Return the condition, in SQL, that an execution of `table`, a name or an alias, is not released.

    It says `released_at IS NULL` in words that no index of live rows promises: a plan from the first minute of an installation,
    when that index seems to hold next to nothing, would read all of it and look for the ids among what it found.
    """
    return f"COALESCE({table}.released_at, 'infinity') = 'infinity'"
