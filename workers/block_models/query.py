"""Query: writes the blocks within a bounding box, with some columns of a version, to one file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from workers.block_models import columns as files
from workers.block_models import grid
from workers.block_models.columns import BATCH, ColumnFile
from workers.block_models.grid import BlockGrid, Ranges
from workers.block_models.header import INDICES, POINTS
from workers.block_models.kinds import KINDS, Stored, written
from workers.block_models.parquet.writer import ParquetFileWriter


class BlockBatch(NamedTuple):
    """Some of the selected blocks: their three keys and their values, column by column."""

    keys: list[Sequence[float | int]]
    values: list[Sequence[Stored]]

    def without_nulls(self) -> BlockBatch:
        """Return the blocks that have at least one value; all of them where no columns are asked for."""
        if not self.values or all(None not in column for column in self.values[:1]):
            return self
        some = [any(value is not None for value in row) for row in zip(*self.values, strict=True)]
        if all(some):
            return self
        keys: list[Sequence[float | int]] = [_picked(key, some) for key in self.keys]
        return BlockBatch(keys, [_picked(column, some) for column in self.values])


def query(request: Mapping[str, Any], inputs: Path, outputs: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """Write the selected blocks to `outputs` and return how many there are."""
    model = grid.read(request["grid"])
    ranges = model.within(request.get("bbox"))
    by_index = request.get("geometry") != "coordinates"
    names = [*(INDICES if by_index else POINTS), *(one["name"] for one in request["columns"])]
    with ExitStack() as stack:
        open_files = []
        for one in request["columns"]:
            column = files.open_column(inputs / "columns" / files.file_name(one["id"]), KINDS[one["kind"]], model.count)
            stack.callback(column.close)
            open_files.append(column)
        batches = _batches(model, ranges, open_files, by_index=by_index)
        if request.get("exclude_null_rows", True):
            batches = (batch.without_nulls() for batch in batches)
        path = outputs / request["file_name"]
        if request["file_format"] == "parquet":
            rows = _write_parquet(path, names, open_files, batches, progress, by_index=by_index)
        else:
            rows = _write_csv(path, names, open_files, batches, progress, request.get("delimiter") or ",")
    return {"rows": rows}


def column_batches(
    model: BlockGrid, ranges: Ranges, open_files: Sequence[ColumnFile]
) -> Iterator[list[Sequence[Stored]]]:
    """Yield the values of the selected blocks, column by column, in batches."""
    for rows in _together(model, ranges):
        yield [_values(column, model, rows) for column in open_files]


def _batches(
    model: BlockGrid, ranges: Ranges, open_files: Sequence[ColumnFile], *, by_index: bool
) -> Iterator[BlockBatch]:
    for rows in _together(model, ranges):
        keys = _indices(rows) if by_index else _points(model, rows)
        values: list[Sequence[Stored]] = [_values(column, model, rows) for column in open_files]
        yield BlockBatch(keys, values)


_Rows = list[tuple[int, int, range]]


def _together(model: BlockGrid, ranges: Ranges) -> Iterator[_Rows]:
    """Yield rows along i, as many together as make a batch; a row that is longer is cut."""
    held: _Rows = []
    count = 0
    for k, j, whole in model.rows(ranges):
        for start in range(whole.start, whole.stop, BATCH):
            part = range(start, min(start + BATCH, whole.stop))
            if held and count + len(part) > BATCH:
                yield held
                held, count = [], 0
            held.append((k, j, part))
            count += len(part)
    if held:
        yield held


def _values(column: ColumnFile, model: BlockGrid, rows: _Rows) -> Sequence[Stored]:
    nx, ny, _ = model.blocks
    parts: list[list[int]] = []
    for k, j, part in rows:  # rows that follow one another in the file are read at once
        start = part.start + nx * (j + ny * k)
        if parts and parts[-1][1] == start:
            parts[-1][1] += len(part)
        else:
            parts.append([start, start + len(part)])
    read = [column.read(start, stop) for start, stop in parts]
    return read[0] if len(read) == 1 else list(chain.from_iterable(read))


def _indices(rows: _Rows) -> list[Sequence[float | int]]:
    return [
        list(chain.from_iterable(part for _, _, part in rows)),
        list(chain.from_iterable([j] * len(part) for _, j, part in rows)),
        list(chain.from_iterable([k] * len(part) for k, _, part in rows)),
    ]


def _points(model: BlockGrid, rows: _Rows) -> list[Sequence[float | int]]:
    centres = [model.centre(i, j, k) for k, j, part in rows for i in part]
    return [list(axis) for axis in zip(*centres, strict=True)]


def _picked(values: Sequence[Any], some: Sequence[bool]) -> list[Any]:
    return [value for value, wanted in zip(values, some, strict=True) if wanted]


def _write_csv(
    path: Path,
    names: Sequence[str],
    open_files: Sequence[ColumnFile],
    batches: Iterator[BlockBatch],
    progress: Callable[[int], None],
    delimiter: str,
) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(names)
        for batch in batches:
            shown = [written(column.kind, values) for column, values in zip(open_files, batch.values, strict=True)]
            writer.writerows(zip(*batch.keys, *shown, strict=True))
            rows += len(batch.keys[0])
            progress(rows)
    return rows


def _write_parquet(
    path: Path,
    names: Sequence[str],
    open_files: Sequence[ColumnFile],
    batches: Iterator[BlockBatch],
    progress: Callable[[int], None],
    *,
    by_index: bool,
) -> int:
    keys = ["UInt32" if by_index else "Float64"] * 3
    kinds = [(kind, False) for kind in keys] + [(column.kind.name, True) for column in open_files]
    columns = [(name, kind, is_optional) for name, (kind, is_optional) in zip(names, kinds, strict=True)]
    rows = 0
    with ParquetFileWriter(path, columns) as writer:
        for batch in batches:
            writer.write([*batch.keys, *batch.values])
            rows += len(batch.keys[0])
            progress(rows)
    return rows
