"""What a version changed beside the one before it, and which blocks a box touches."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.rules.data_sets import differences, grid

GRID: Any = {"blocks": [4, 3, 2], "size": [2.0, 2.0, 2.0], "origin": [10.0, 0.0, 0.0], "rotation": []}


def column(name: str, file_id: int, **said: Any) -> Any:
    return {"col_id": name, "title": name, "data_type": "Int8", "file_id": file_id, **said}


def test_columns_are_told_by_their_ids() -> None:
    before = [column("a", 1), column("b", 2), column("c", 3, unit_id="g/t", tags={"x": 1})]
    after = [column("a", 1, title="A"), column("c", 9, tags={}), column("d", 4)]
    found = differences.between(before, after)
    assert (found.new, found.deleted, found.updated) == (["d"], ["b"], ["c"])
    assert found.renamed == {"a": ("a", "A")}
    assert found.described == {"c": {"unit_id": None, "tags": {}}}
    chosen = found.of({"a"})
    assert (chosen.new, chosen.deleted, chosen.updated) == (["d"], [], [])


@pytest.mark.parametrize(
    ("box", "covered"),
    [
        ({"x": (10.0, 11.9), "y": (-5.0, 99.0), "z": (3.0, 3.0)}, {"i": (0, 0), "j": (0, 2), "k": (1, 1)}),
        ({"x": (1e300, 1e301), "y": (0.0, 1.0), "z": (0.0, 1.0)}, None),
        ({"i": (1, 9), "j": (-1, 0), "k": (0, 0)}, {"i": (1, 3), "j": (0, 0), "k": (0, 0)}),
        ({"i": (4, 9), "j": (0, 0), "k": (0, 0)}, None),
    ],
)
def test_a_box_touches_blocks_by_their_indices(box: Any, covered: Any) -> None:
    def bounds(said: Any) -> Any:
        return {f"{name}_minmax": {"min": low, "max": high} for name, (low, high) in said.items()}

    assert grid.covered(GRID, bounds(box)) == (None if covered is None else bounds(covered))
