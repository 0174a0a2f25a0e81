"""The rooms of the house: folders side by side lead one way, so that each can be read without those that stand on it."""

from __future__ import annotations

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.house.source import ROOT, own_imports, python_files

FLOORS = (
    "scheduler",
    "scheduler/rules",
    "scheduler/store",
    "workers",
    "api",
    "api/http",
    "sdk/ganger",
    "sdk/ganger/cli",
)
"""Folders whose sub-folders are compared with each other."""


@pytest.mark.parametrize("floor", FLOORS)
def test_no_two_rooms_of_a_floor_import_each_other(floor: str) -> None:
    """Longer circles count too: a room that leads back to itself over a third is as hard to read."""
    try:
        TopologicalSorter(doors(floor)).prepare()
    except CycleError as circle:
        pytest.fail(f"{floor}: {' -> '.join(reversed(circle.args[1]))}")


@pytest.mark.parametrize("noun", sorted({path.parts[2] for path in python_files("api/http") if path.stem == "routes"}))
def test_what_all_nouns_share_knows_none_of_them(noun: str) -> None:
    assert noun not in doors("api/http")["schema"]


def doors(floor: str) -> dict[str, set[str]]:
    """Return which rooms of a floor each room imports from."""
    within = floor.removeprefix("sdk/").replace("/", ".") + "."
    leads: dict[str, set[str]] = defaultdict(set)
    for path in python_files(floor):
        room = path.relative_to(floor).parts[0]
        if (ROOT / floor / room).is_dir():
            targets = {
                name.removeprefix(within).split(".")[0] for _, name in own_imports(path) if name.startswith(within)
            }
            leads[room] |= {name for name in targets - {room} if Path(ROOT, floor, name).is_dir()}
    return leads
