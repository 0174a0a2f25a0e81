"""Rows of an uploaded Parquet file, batch by batch, with the row and column of whatever is wrong."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, cast

from workers.block_models import header
from workers.block_models.columns import BATCH
from workers.block_models.csv_rows import RowBatch
from workers.block_models.grid import BlockGrid
from workers.block_models.header import MatchedHeader, WantedColumn
from workers.block_models.kinds import MAX_TEXT, ColumnKind, Stored
from workers.block_models.parquet import with_arrow
from workers.block_models.parquet.reader import ParquetColumn, ParquetFileReader
from workers.block_models.parquet.with_arrow import ArrowFileReader
from workers.block_models.problem import BlockModelProblem, CellProblem, shown

_EXACT = {"Float16": 1 << 11, "Float32": 1 << 24, "Float64": 1 << 53}
"""Up to here each whole number is one of this kind."""


@dataclass(frozen=True)
class ParquetFile:
    """An uploaded file and what is expected of it."""

    path: Path
    grid: BlockGrid
    wanted: Sequence[WantedColumn]
    known: frozenset[str]
    renamed: Mapping[str, str]

    def batches(self) -> Iterator[RowBatch]:
        """Yield the rows. Raises BlockModelProblem for the first thing that is wrong."""
        if self.path.stat().st_size == 0:
            raise BlockModelProblem("Empty file", "the file is empty; a Parquet file has a schema at least")
        try:
            with opened(self.path) as table:
                yield from self._batches(table)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error, zlib.error) as error:
            said = str(error)[:300] or type(error).__name__
            raise BlockModelProblem("Wrong file", f"this is not a Parquet file that can be read: {said}") from None

    def _batches(self, table: ParquetFileReader | ArrowFileReader) -> Iterator[RowBatch]:
        names = [column.name for column in table.columns]
        found = header.match(names, self.wanted, self.known, self.renamed)
        self._check_kinds(table.columns, found)
        first = 1
        for values in table.batches([*found.keys, *found.columns], BATCH):
            batch = RowBatch([], [], _Numbered(first, len(values[0])))
            batch.numbers.extend(self._numbers(values[:3], names, found, batch))
            for column, place, given in zip(self.wanted, found.columns, values[3:], strict=True):
                kind = str(table.columns[place].kind)
                batch.values.append(_converted(given, kind, column.kind, batch, names[place]))
            yield batch
            first += len(values[0])

    def _check_kinds(self, columns: Sequence[ParquetColumn], found: MatchedHeader) -> None:
        for place in found.keys:
            kind = columns[place].kind or ""
            if not (_is_whole(kind) if found.by_index else _is_number(kind)):
                wanted = "whole numbers" if found.by_index else "numbers"
                raise BlockModelProblem("Wrong type", f"the key {shown(columns[place].name)} has no {wanted}")
        for column, place in zip(self.wanted, found.columns, strict=True):
            found_kind, wanted = columns[place].kind, column.kind.name
            if found_kind not in {wanted, "Null"} and not (_is_number(found_kind or "") and _is_number(wanted)):
                has = "values that no kind of column holds" if found_kind is None else f"values of {found_kind}"
                sentence = f"the column {shown(columns[place].name)} has {has}, and {wanted} is wanted"
                raise BlockModelProblem("Wrong type", sentence)

    def _numbers(
        self, keys: Sequence[list[Any]], names: Sequence[str], found: MatchedHeader, batch: RowBatch
    ) -> list[int]:
        for place, values in zip(found.keys, keys, strict=True):
            if None in values:
                raise _wrong(batch, values.index(None), names[place], "this key is missing")
        try:
            return self.grid.numbers(keys) if found.by_index else self.grid.located(keys)
        except CellProblem as problem:
            raise _wrong(batch, problem.offset, names[found.keys[0]], str(problem), "Wrong block") from None


class _Numbered(Sequence[str]):
    """The words for the places of rows that stand one after the other."""

    def __init__(self, first: int, count: int) -> None:
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, offset: Any) -> Any:  # noqa: ANN401 - a number alone is asked for
        return f"row {self._first + offset}"


def opened(path: Path) -> ParquetFileReader | ArrowFileReader:
    """Return an open Parquet file: by pyarrow where it is, else by ourselves. Raises ValueError and its like for another file."""
    pa = with_arrow.library()
    return ParquetFileReader(path) if pa is None else ArrowFileReader(pa, path)


def _is_whole(kind: str) -> bool:
    return "Int" in kind


def _is_number(kind: str) -> bool:
    return "Int" in kind or "Float" in kind


def _converted(given: list[Any], kind: str, wanted: ColumnKind, batch: RowBatch, name: str) -> Sequence[Stored]:
    """Return values as the wanted kind has them. Raises BlockModelProblem for the first that it cannot hold."""
    if kind == "Utf8":
        _check_texts(given, batch, name)
    if kind in {wanted.name, "Null"}:
        return cast("Sequence[Stored]", given)
    found: list[Stored] = []
    for offset, value in enumerate(given):
        meant = None if value is None else _as_number(value, wanted)
        if meant is None and value is not None:
            raise _wrong(batch, offset, name, f"{shown(value)} cannot be a value of {wanted.name}")
        found.append(meant)
    return found


def _as_number(value: float, wanted: ColumnKind) -> float | int | None:
    """Return a number in another kind; None where that would be another number."""
    is_finite = isfinite(value)
    if wanted.name in _EXACT:
        if isinstance(value, int) and abs(value) > _EXACT[wanted.name]:
            return None
        number: float | int = float(value)
    elif is_finite and value == int(value):
        number = int(value)
    else:
        return None
    is_within = wanted.least is None or wanted.most is None or wanted.least <= number <= wanted.most
    return number if is_within or not is_finite else None


def _check_texts(values: Sequence[Any], batch: RowBatch, name: str) -> None:
    for offset, value in enumerate(values):
        if value is not None and len(value) > MAX_TEXT // 4 and len(value.encode()) > MAX_TEXT:
            raise _wrong(batch, offset, name, f"the text is longer than {MAX_TEXT} bytes")


def _wrong(batch: RowBatch, offset: int, name: str, sentence: str, title: str = "Wrong value") -> BlockModelProblem:
    return BlockModelProblem(title, f"{batch.place(offset)}, column {name[:100]}: {sentence}")
