"""What an update may make of the columns of a version."""

from __future__ import annotations

from typing import Any

from scheduler.errors import FaultList
from scheduler.rules.data_sets import columns
from scheduler.rules.data_sets.documents import ColumnDocument


def described(number: int, tags: dict[str, Any] | None) -> ColumnDocument:
    return {
        "col_id": f"c{number}", "title": f"column {number}", "data_type": "Int8", "unit_id": None, "tags": tags, "file_id": 1,
    }  # fmt: skip


def planned(before: list[ColumnDocument], tags: dict[str, Any]) -> FaultList:
    faults = FaultList()
    changes: Any = {
        "new": [],
        "update": [],
        "delete": [],
        "rename": [],
        "metadata": [{"title": "column 0", "tags": tags}],
    }
    columns.plan(before, changes, faults)
    return faults


def test_what_is_said_of_all_columns_of_a_version_stays_small_however_many_updates_say_it() -> None:
    """Each version keeps it, and a list of versions reads it for each: ninety kilobytes an update made fifty megabytes a version."""
    tags = {"text": "x" * 90_000}
    few = [described(number, tags if 0 < number < 10 else None) for number in range(20)]
    assert not planned(few, tags)
    many = [described(number, tags if 0 < number < 12 else None) for number in range(20)]
    assert "1048576 bytes" in str(planned(many, tags).together())
    largest = [
        described(number, None) | {"title": "\U0001f600" * 50 + str(number)} for number in range(1, columns.MAX_COLUMNS)
    ]
    assert not planned([described(0, None), *largest], {})
