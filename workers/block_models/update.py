"""Update: brings the rows of an uploaded file to the columns that they change, as new files."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from workers.block_models import columns as files
from workers.block_models import csv_rows, grid
from workers.block_models.columns import ColumnFile
from workers.block_models.csv_rows import CsvFile, RowBatch
from workers.block_models.grid import BlockGrid
from workers.block_models.header import WantedColumn
from workers.block_models.kinds import KINDS
from workers.block_models.parquet_rows import ParquetFile
from workers.block_models.problem import BlockModelProblem


def update(request: Mapping[str, Any], inputs: Path, outputs: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Write the changed columns to `outputs` and return what was changed. Without columns nothing is read."""
    wanted = [_wanted(one) for one in request["columns"]]
    base = request["base"]
    if not wanted:
        return {"base": base, "rows": 0, "bbox": None, "columns": []}
    model = grid.read(request["grid"])
    source = _source(request, model, wanted, inputs)
    with ExitStack() as stack:
        open_files = []
        for one in request["columns"]:
            column = files.create(outputs / files.file_name(one["id"]), KINDS[one["kind"]], model.count)
            stack.callback(column.close)
            if request["merge"] and one.get("base"):
                _carry_over(inputs / "columns" / files.file_name(one["id"]), column)
            open_files.append(column)
        touched = _Touched(model)
        rows = 0
        with _marks(model.count) as seen:
            for batch in source.batches():
                _apply(batch, open_files, seen)
                touched.add(batch.numbers)
                rows += len(batch.numbers)
                progress(rows)
    whole = not request["merge"] and any(one.get("base") for one in request["columns"])
    return {
        "base": base,
        "rows": rows,
        "bbox": _all_of(model) if whole else touched.bbox(),
        "columns": [{"id": one["id"], "kind": one["kind"]} for one in request["columns"]],
    }


def _wanted(one: Mapping[str, Any]) -> WantedColumn:
    return WantedColumn(one["id"], KINDS[one["kind"]], tuple(one["titles"]))


def _source(
    request: Mapping[str, Any], model: BlockGrid, wanted: Sequence[WantedColumn], inputs: Path
) -> CsvFile | ParquetFile:
    said = request["input"]
    uploaded = sorted((inputs / "data").iterdir()) if (inputs / "data").is_dir() else []
    if not uploaded:
        raise BlockModelProblem("No file", "the update needs a file, and none was uploaded")
    known, renamed = frozenset(request.get("known", ())), said.get("renamed") or {}
    if said["file_format"] == "parquet":
        return ParquetFile(uploaded[0], model, wanted, known, renamed)
    return CsvFile(uploaded[0], model, wanted, known, renamed, csv_rows.options(said))


def _carry_over(base: Path, column: ColumnFile) -> None:
    old = files.open_column(base, column.kind, column.blocks)
    try:
        files.copy(old, column)
    finally:
        old.close()


def _apply(batch: RowBatch, open_files: Iterable[ColumnFile], seen: mmap.mmap) -> None:
    numbers = batch.numbers
    if not numbers:
        return
    start, stop = numbers[0], numbers[0] + len(numbers)
    in_a_row = numbers[-1] + 1 == stop and numbers == list(range(start, stop))
    if in_a_row and b"\x01" not in seen[start:stop]:
        seen[start:stop] = b"\x01" * len(numbers)
        for column, values in zip(open_files, batch.values, strict=True):
            column.write(range(start, stop), values)
        return
    for offset, number in enumerate(numbers):
        if seen[number]:
            raise BlockModelProblem("Wrong block", f"{batch.place(offset)}: the block of this row was there before")
        seen[number] = 1
    for column, values in zip(open_files, batch.values, strict=True):
        column.write(numbers, values)


@contextmanager
def _marks(count: int) -> Iterator[mmap.mmap]:
    """Within it there is a mark for each block, in a file, so that the kernel may put it on the disk."""
    with tempfile.TemporaryFile() as file:
        file.truncate(count)
        with mmap.mmap(file.fileno(), count) as marks:
            yield marks


class _Touched:
    """The bounds of the blocks that rows have named."""

    def __init__(self, model: BlockGrid) -> None:
        self._grid = model
        self._least: list[int] | None = None
        self._most: list[int] = []

    def add(self, numbers: Sequence[int]) -> None:
        """Widen the bounds by these blocks."""
        if not numbers:
            return
        nx, ny, _ = self._grid.blocks
        layer = nx * ny
        first, last = min(numbers), max(numbers)
        if self._least is not None and self._covers(first // layer, last // layer):
            return
        axes = (
            {number % nx for number in numbers},
            {number // nx % ny for number in numbers},
            {first // layer, last // layer},
        )
        least, most = [min(axis) for axis in axes], [max(axis) for axis in axes]
        if self._least is not None:
            least = [min(pair) for pair in zip(least, self._least, strict=True)]
            most = [max(pair) for pair in zip(most, self._most, strict=True)]
        self._least, self._most = least, most

    def _covers(self, least_k: int, most_k: int) -> bool:
        nx, ny, _ = self._grid.blocks
        whole = self._least is not None and self._least[:2] == [0, 0] and self._most[:2] == [nx - 1, ny - 1]
        return whole and self._least is not None and self._least[2] <= least_k and most_k <= self._most[2]

    def bbox(self) -> dict[str, dict[str, int]] | None:
        """Return the bounds by axis; None where no row named a block."""
        return None if self._least is None else _bounds(self._least, self._most)


def _all_of(model: BlockGrid) -> dict[str, dict[str, int]]:
    return _bounds((0, 0, 0), [most - 1 for most in model.blocks])


def _bounds(least: Sequence[int], most: Sequence[int]) -> dict[str, dict[str, int]]:
    return {f"{name}_minmax": {"min": low, "max": high} for name, low, high in zip("ijk", least, most, strict=True)}
