"""The regular grid of a block model: where its blocks lie, and which of them a row means.

A block has the indices i, j, k, each from 0, and one number: i counts fastest, then j, then k. Rotations are clockwise about
the model's axes, in the order in which they are given, as the block model API defines them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, radians, sin
from typing import Any

from workers.block_models.problem import CellProblem

_OFF_CENTRE = 0.05
"""How far a point may lie from the centre of its block, as a part of the block's size: figures in files are rounded."""

Matrix = tuple[tuple[float, float, float], ...]
Ranges = tuple[range, range, range]


@dataclass(frozen=True)
class BlockGrid:
    """A regular grid: numbers of blocks, sizes and origin by axis, and the rotation from the model's axes to the world's."""

    blocks: tuple[int, int, int]
    size: tuple[float, float, float]
    origin: tuple[float, float, float]
    rotation: Matrix

    @property
    def count(self) -> int:
        """The number of all blocks."""
        return self.blocks[0] * self.blocks[1] * self.blocks[2]

    @property
    def is_rotated(self) -> bool:
        """Whether the model's axes are not the world's."""
        return self.rotation != _NOT_ROTATED

    def numbers(self, columns: Sequence[Sequence[int]]) -> list[int]:
        """Return the numbers of the blocks with these i, j, k. Raises CellProblem for the first that is outside of the grid."""
        ours, js, ks = columns
        nx, ny, _ = self.blocks
        for axis, (name, indices, most) in enumerate(zip("ijk", columns, self.blocks, strict=True)):
            if indices and not (min(indices) >= 0 and max(indices) < most):
                offset = next(at for at, index in enumerate(indices) if not 0 <= index < most)
                where = f"{name} is {indices[offset]}, and the grid has {name} from 0 to {self.blocks[axis] - 1}"
                raise CellProblem(offset, f"the block is outside of the grid: {where}")
        return [i + nx * (j + ny * k) for i, j, k in zip(ours, js, ks, strict=True)]

    def located(self, points: Sequence[Sequence[float]]) -> list[int]:
        """Return the numbers of the blocks that have their centres at these x, y, z. Raises CellProblem for the first that none has."""
        nx, ny, _ = self.blocks
        found = []
        for offset, point in enumerate(zip(*points, strict=True)):
            i, j, k = self._indices(offset, (point[0], point[1], point[2]))
            found.append(i + nx * (j + ny * k))
        return found

    def _indices(self, offset: int, point: tuple[float, float, float]) -> list[int]:
        away = [at - start for at, start in zip(point, self.origin, strict=True)]
        if self.is_rotated:
            away = [sum(self.rotation[row][axis] * away[row] for row in range(3)) for axis in range(3)]
        indices = []
        for name, distance, size, most in zip("xyz", away, self.size, self.blocks, strict=True):
            at = distance / size
            if not -_OFF_CENTRE < at < most + _OFF_CENTRE:  # also for what is no number
                raise CellProblem(offset, f"the point {point} is outside of the grid, by its {name}")
            index = min(max(floor(at), 0), most - 1)
            if abs(at - index - 0.5) > _OFF_CENTRE:
                raise CellProblem(offset, f"the point {point} is not the centre of a block, by its {name}")
            indices.append(index)
        return indices

    def centre(self, i: int, j: int, k: int) -> tuple[float, float, float]:
        """Return the centre of a block, in the world."""
        x, y, z = ((index + 0.5) * size for index, size in zip((i, j, k), self.size, strict=True))
        if self.is_rotated:
            x, y, z = (row[0] * x + row[1] * y + row[2] * z for row in self.rotation)
        return self.origin[0] + x, self.origin[1] + y, self.origin[2] + z

    def within(self, bbox: Mapping[str, Any] | None) -> Ranges:
        """Return the indices that a bounding box selects on each axis: of indices, or of centres along the model's axes."""
        if bbox is None:
            i, j, k = (range(most) for most in self.blocks)
            return i, j, k
        words = "ijk" if "i_minmax" in bbox else "xyz"
        i, j, k = (self._selected(axis, bbox[f"{name}_minmax"], words) for axis, name in enumerate(words))
        return i, j, k

    def _selected(self, axis: int, bounds: Mapping[str, Any], words: str) -> range:
        least, most = bounds["min"], bounds["max"]
        if words == "xyz":
            start, size = self.origin[axis], self.size[axis]
            least, most = ((end - start) / size - 0.5 for end in (least, most))
        count = self.blocks[axis]
        low, high = (min(max(end, -1.0), float(count)) for end in (least, most))  # also of what is infinite by now
        least, most = max(0, ceil(low - 1e-9)), min(count - 1, floor(high + 1e-9))
        return range(least, max(least, most + 1))

    def rows(self, ranges: Ranges) -> Iterator[tuple[int, int, range]]:
        """Yield the rows of the selected blocks along i, in the order of their numbers: k, j, and the range of i."""
        for k in ranges[2]:
            for j in ranges[1]:
                yield k, j, ranges[0]


def read(document: Mapping[str, Any]) -> BlockGrid:
    """Return the grid of a request."""
    nx, ny, nz = document["blocks"]
    sx, sy, sz = map(float, document["size"])
    ox, oy, oz = map(float, document["origin"])
    turns = [(str(one["axis"]), float(one["angle"])) for one in document.get("rotation", ())]
    return BlockGrid((nx, ny, nz), (sx, sy, sz), (ox, oy, oz), rotation(turns))


def rotation(turns: Sequence[tuple[str, float]]) -> Matrix:
    """Return the product of clockwise rotations about axes, in degrees, in their order."""
    product = _NOT_ROTATED
    for axis, angle in turns:
        if angle % 360:
            product = _times(product, _turn(axis, radians(angle)))
    return product


_NOT_ROTATED: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def _turn(axis: str, angle: float) -> Matrix:
    c, s = cos(angle), sin(angle)
    if axis == "x":
        return ((1.0, 0.0, 0.0), (0.0, c, s), (0.0, -s, c))
    if axis == "y":
        return ((c, 0.0, -s), (0.0, 1.0, 0.0), (s, 0.0, c))
    return ((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0))


def _times(a: Matrix, b: Matrix) -> Matrix:
    x, y, z = (tuple(sum(row[n] * b[n][axis] for n in range(3)) for axis in range(3)) for row in a)
    return (x[0], x[1], x[2]), (y[0], y[1], y[2]), (z[0], z[1], z[2])
