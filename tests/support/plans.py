"""Reads the plans of statements: whether each large table in one is reached by keys.

A scan goes by keys where its condition on an index names no other table, so that only parameters and constants are left, or only
tables that are themselves read by keys. Whatever stands on such a way reads what it is about, however large the tables become.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LARGE = frozenset({"jobs", "executions", "events", "job_specs", "usage_samples"})
_NAMED = re.compile(r"\b([a-z_][a-z_0-9]*)\.")
_INDEX_CONDITIONS = ("Index Cond", "Recheck Cond", "TID Cond")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan and all parts of it."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def not_by_keys(plan: dict[str, Any]) -> list[str]:
    """Return the scans of large tables in a plan that do not go by keys, as sentences for people."""
    parts = list(nodes(plan))
    by_keys = {part["Alias"] for part in parts if "Alias" in part and _gives_keys(part)}
    conditions = {part["Alias"]: _condition(part) for part in parts if "Alias" in part and "Relation Name" in part}
    grown = True
    while grown:
        grown = False
        for alias, condition in conditions.items():
            if alias not in by_keys and condition and set(_NAMED.findall(condition)) - {alias} <= by_keys:
                by_keys.add(alias)
                grown = True
    return [
        f"{part['Node Type']} of {part['Relation Name']} {part['Alias']}, by {_condition(part) or 'nothing'}"
        for part in parts
        if part.get("Relation Name") in LARGE and "Scan" in part["Node Type"] and part["Alias"] not in by_keys
    ]


def _gives_keys(part: dict[str, Any]) -> bool:
    """Whether a part hands on what it was given, or what another part of the statement has found."""
    return part["Node Type"] in {"Function Scan", "CTE Scan", "Subquery Scan", "Values Scan", "WorkTable Scan"}


def _condition(part: dict[str, Any]) -> str:
    own = [str(part[name]) for name in _INDEX_CONDITIONS if name in part]
    below = [_condition(each) for each in part.get("Plans", ()) if "Bitmap" in each["Node Type"]]
    return " AND ".join(filter(None, own + below))
