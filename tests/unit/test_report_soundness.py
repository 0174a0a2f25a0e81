"""What a program reports as a report is taken only in the form in which it is shown later."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.rules.data_sets import reports

ROW = {"categories": ["oxide", None], "values": [[1.5, "OK"], [None, "NO_DATA"]]}
SOUND: dict[str, Any] = {
    "sets": [{"cutoff": None, "rows": [ROW]}, {"cutoff": 2, "rows": []}],
    "warnings": {"A_NEW_KIND": 3},
}


def test_sets_of_rows_and_counted_warnings_are_sound() -> None:
    assert reports.is_sound(SOUND)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sets": SOUND["sets"]},
        {**SOUND, "warnings": []},
        {**SOUND, "warnings": {"A_NEW_KIND": "3"}},
        {**SOUND, "sets": [1]},
        {**SOUND, "sets": [{"rows": [ROW]}]},
        {**SOUND, "sets": [{"cutoff": "2", "rows": [ROW]}]},
        {**SOUND, "sets": [{"cutoff": 2, "rows": {}}]},
        {**SOUND, "sets": [{"cutoff": 2, "rows": [{**ROW, "categories": "oxide"}]}]},
        {**SOUND, "sets": [{"cutoff": 2, "rows": [{**ROW, "values": [1.5]}]}]},
        {**SOUND, "sets": [{"cutoff": 2, "rows": [{**ROW, "values": [["1.5", "OK"]]}]}]},
        {**SOUND, "sets": [{"cutoff": 2, "rows": [{**ROW, "values": [[1.5]]}]}]},
        {},
    ],
)
def test_anything_else_is_not(wrong: dict[str, Any]) -> None:
    assert not reports.is_sound(wrong)
