"""JSON as Python has it: what columns, messages and definitions hold that no record of ours describes."""

from __future__ import annotations

from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""Any JSON value."""

Document: TypeAlias = dict[str, JsonValue]
"""A JSON object."""
