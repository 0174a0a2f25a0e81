"""The job type of a row, in short: the same fields in every list that has them, and the columns that they come from."""

from __future__ import annotations

from dataclasses import dataclass, fields

from scheduler.identifiers import JobTypeId


@dataclass(frozen=True, slots=True)
class JobTypeInShort:
    """A row's job type; a list's record adds its own fields."""

    type_id: JobTypeId
    type_name: str
    type_version: str
    type_title: str
    type_description: str
    type_category: str | None
    author_name: str | None
    author_url: str | None
    icon_code: str | None
    is_system: bool
    is_long_running: bool
    is_active: bool
    is_operational: bool
    is_paused: bool


COLUMNS = {each.name: f"t.{each.name.removeprefix('type_')}" for each in fields(JobTypeInShort)}
"""The SQL of each field, where `t` is the table of job types."""

SELECTED = ", ".join(f"{column} AS {name}" for name, column in COLUMNS.items())
"""All of them for a statement, in the order of the fields."""
