"""Grids of block models: what makes one impossible, the room that its columns need, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import acos, atan2, cos, degrees, floor, isfinite, prod, radians, sin
from typing import Final

from scheduler.errors import FaultList
from scheduler.rules.data_sets.documents import GridDocument, RangeDocument

MAX_BLOCKS: Final = 100_000_000
"""Blocks of one model: a column of it has a gigabyte then."""

MAX_COORDINATE: Final = 1e12

Matrix = list[list[float]]


def check(grid: GridDocument, faults: FaultList) -> None:
    """Note all that keeps blocks from being made in this grid, under the names that clients use."""
    _check_blocks(grid, faults)
    for name, size in zip("xyz", grid["size"], strict=True):
        if not (isfinite(size) and 0 < size <= MAX_COORDINATE):
            faults.note("it must be a number above 0", field=f"size_options.block_size.{name}")
    for name, at in zip("xyz", grid["origin"], strict=True):
        if not (isfinite(at) and abs(at) <= MAX_COORDINATE):
            faults.note("it must be a finite number", field=f"model_origin.{name}")
    for number, turn in enumerate(grid["rotation"]):
        if not (isfinite(turn["angle"]) and abs(turn["angle"]) <= MAX_COORDINATE):
            faults.note("it must be a finite number", field=f"block_rotation[{number}].angle")
    for number, (one, following) in enumerate(pairwise(turn["axis"] for turn in grid["rotation"]), 1):
        if one == following:
            faults.note("two rotations about one axis cannot follow each other", field=f"block_rotation[{number}]")


def _check_blocks(grid: GridDocument, faults: FaultList) -> None:
    for name, count in zip("xyz", grid["blocks"], strict=True):
        if not 1 <= count <= MAX_BLOCKS:
            faults.note(f"it must be from 1 to {MAX_BLOCKS}", field=f"size_options.n_blocks.n{name}")
    if all(count >= 1 for count in grid["blocks"]) and count_of(grid) > MAX_BLOCKS:
        sentence = f"there would be {count_of(grid)} blocks; at most {MAX_BLOCKS} are allowed"
        faults.note(sentence, field="size_options.n_blocks")


def count_of(grid: GridDocument) -> int:
    """Return the number of blocks."""
    return prod(grid["blocks"])


def whole(grid: GridDocument) -> dict[str, RangeDocument]:
    """Return the bounds of all blocks by their indices."""
    return {f"{name}_minmax": {"min": 0, "max": count - 1} for name, count in zip("ijk", grid["blocks"], strict=True)}


def extent(grid: GridDocument) -> dict[str, RangeDocument]:
    """Return the bounds of the model along its own axes, from its origin on."""
    axes = zip("xyz", grid["origin"], grid["size"], grid["blocks"], strict=True)
    return {f"{name}_minmax": {"min": at, "max": at + size * count} for name, at, size, count in axes}


def covered(grid: GridDocument, bbox: Mapping[str, RangeDocument]) -> dict[str, RangeDocument] | None:
    """Return the bounds of the blocks that a box touches, by their indices; None where it lies outside.

    A box is of indices, or of coordinates along the model's own axes.
    """
    found: dict[str, RangeDocument] = {}
    for axis, name in enumerate("ijk"):
        last = grid["blocks"][axis] - 1
        bounds = bbox.get(f"{name}_minmax")
        if bounds is None:
            at = bbox[f"{'xyz'[axis]}_minmax"]
            start, size = grid["origin"][axis], grid["size"][axis]
            bounds = {
                "min": floor(_within((at["min"] - start) / size, last)),
                "max": floor(_within((at["max"] - start) / size, last)),
            }
        least, most = max(0, bounds["min"]), min(last, bounds["max"])
        if least > most:
            return None
        found[f"{name}_minmax"] = {"min": least, "max": most}
    return found


def meet(one: Mapping[str, RangeDocument], other: Mapping[str, RangeDocument]) -> bool:
    """Tell whether two boxes of indices have a block in common."""
    return all(one[axis]["min"] <= other[axis]["max"] and other[axis]["min"] <= one[axis]["max"] for axis in one)


def _within(at: float, last: int) -> float:
    return min(max(at, -1.0), last + 1.0)


def normalized(grid: GridDocument) -> tuple[float, float, float]:
    """Return the rotation as clockwise turns in degrees about z, then x, then z again, each about the axes as turned so far."""
    matrix: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    for turn in grid["rotation"]:
        matrix = _times(matrix, _turn(turn["axis"], radians(turn["angle"])))
    tilt = acos(max(-1.0, min(1.0, matrix[2][2])))
    if sin(tilt) < 1e-9:  # noqa: PLR2004 - the first and the last turn are about one axis
        return _degrees(atan2(matrix[0][1] if matrix[2][2] > 0 else -matrix[0][1], matrix[0][0])), _degrees(tilt), 0.0
    return _degrees(atan2(matrix[0][2], matrix[1][2])), _degrees(tilt), _degrees(atan2(matrix[2][0], -matrix[2][1]))


def _degrees(angle: float) -> float:
    return round(degrees(angle), 9) % 360.0


def _turn(axis: str, angle: float) -> Matrix:
    c, s = cos(angle), sin(angle)
    if axis == "x":
        return [[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]
    if axis == "y":
        return [[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]
    return [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]


def _times(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(row[n] * b[n][at] for n in range(3)) for at in range(3)] for row in a]
