"""Rows of an uploaded CSV file, batch by batch, with the line and column of whatever is wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, cast

from workers.block_models import header
from workers.block_models.columns import BATCH
from workers.block_models.grid import BlockGrid
from workers.block_models.header import MatchedHeader, WantedColumn
from workers.block_models.kinds import KINDS, MAX_TEXT, Stored
from workers.block_models.problem import BlockModelProblem, CellProblem

MAX_LINE = 8 << 20
"""Characters of the longest line: a file without line ends must not fill the memory."""

MAX_COLUMNS = 10_000


@dataclass(frozen=True)
class RowBatch:
    """Rows in the order of their file: the numbers of their blocks, and for each wanted column its stored values."""

    numbers: list[int]
    values: list[Sequence[Stored]]
    places: Sequence[str]
    """Where each row stands, for messages; empty for rows that stand one after the other from `first` on."""
    first: int = 0

    def place(self, offset: int) -> str:
        """Return the words for the place of a row."""
        return self.places[offset] if self.places else f"line {self.first + offset}"


@dataclass(frozen=True)
class CsvOptions:
    """How a file is written. Lines are skipped before and after the header."""

    delimiter: str = ","
    decimal: str = "."
    quote: str = '"'
    skip: int = 0
    skip_after: int = 0


def options(document: Mapping[str, Any]) -> CsvOptions:
    """Return the options of a request."""
    return CsvOptions(
        delimiter=document.get("delimiter") or ",",
        decimal=document.get("decimal_char") or ".",
        quote=document.get("quote_char") or '"',
        skip=document.get("skip_rows") or 0,
        skip_after=document.get("skip_rows_after_headers") or 0,
    )


@dataclass(frozen=True)
class CsvFile:
    """An uploaded file and what is expected of it."""

    path: Path
    grid: BlockGrid
    wanted: Sequence[WantedColumn]
    known: frozenset[str]
    renamed: Mapping[str, str]
    options: CsvOptions

    def batches(self) -> Iterator[RowBatch]:
        """Yield the rows. Raises BlockModelProblem with line and column for the first thing that is wrong."""
        csv.field_size_limit(MAX_TEXT)
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield from self._batches(file)
        except UnicodeDecodeError:
            raise BlockModelProblem("Wrong text", f"line {_first_not_utf8(self.path)}: this is not UTF-8") from None

    def _batches(self, file: TextIO) -> Iterator[RowBatch]:
        lines = _lines(file)
        skipped = sum(1 for _ in islice(lines, self.options.skip))
        reader = csv.reader(lines, delimiter=self.options.delimiter, quotechar=self.options.quote, strict=True)
        names = _next(reader, skipped)
        if names is None:
            raise BlockModelProblem(
                "Empty file", "line 1: the file has no header; it needs one with the keys of the blocks"
            )
        if len(names) > MAX_COLUMNS:
            raise BlockModelProblem("Wrong header", f"line 1: there are more than {MAX_COLUMNS} columns")
        found = header.match([name.strip() for name in names], self.wanted, self.known, self.renamed)
        for _ in range(self.options.skip_after):
            _next(reader, skipped)
        while True:
            before = reader.line_num + skipped
            rows = _taken(reader, before, skipped)
            if not rows:
                return
            yield self._batch(rows, before, reader.line_num + skipped, names, found)

    def _batch(
        self, rows: list[list[str]], before: int, after: int, names: Sequence[str], found: MatchedHeader
    ) -> RowBatch:
        places: list[str] = []
        if after - before != len(rows) or [] in rows:
            places = [f"line {line}" for line in _starts(rows, before)]
            places = [place for place, row in zip(places, rows, strict=True) if row]
            rows = [row for row in rows if row]
        batch = RowBatch([], [], places, before + 1)
        width = len(names)
        if rows and set(map(len, rows)) != {width}:
            offset = next(at for at, row in enumerate(rows) if len(row) != width)
            raise BlockModelProblem(
                "Wrong row", f"{batch.place(offset)}: there are {len(rows[offset])} values, and the header has {width}"
            )
        cells = list(zip(*rows, strict=True)) if rows else [()] * width
        batch.numbers.extend(self._numbers(cells, names, found, batch))
        for column, place in zip(self.wanted, found.columns, strict=True):
            text = cells[place]
            if self.options.decimal != "." and column.kind.name.startswith("Float"):
                text = tuple(cell.replace(self.options.decimal, ".") for cell in text)
            batch.values.append(self._read(column.kind.name, text, batch, names, place))
        return batch

    def _numbers(
        self, cells: Sequence[Sequence[str]], names: Sequence[str], found: MatchedHeader, batch: RowBatch
    ) -> list[int]:
        kind = "Int64" if found.by_index else "Float64"
        keys = []
        for place in found.keys:
            text = cells[place]
            if self.options.decimal != "." and not found.by_index:
                text = tuple(cell.replace(self.options.decimal, ".") for cell in text)
            values = self._read(kind, text, batch, names, place)
            if None in values:
                raise _wrong(batch, values.index(None), names, place, "this key is missing")
            keys.append(values)
        try:
            if found.by_index:
                return self.grid.numbers(cast("list[list[int]]", keys))
            return self.grid.located(cast("list[list[float]]", keys))
        except CellProblem as problem:
            raise _wrong(batch, problem.offset, names, found.keys[0], str(problem), "Wrong block") from None

    @staticmethod
    def _read(kind: str, text: Sequence[str], batch: RowBatch, names: Sequence[str], place: int) -> Sequence[Stored]:
        try:
            return KINDS[kind].read(text)
        except CellProblem as problem:
            raise _wrong(batch, problem.offset, names, place, str(problem)) from None


def _wrong(
    batch: RowBatch, offset: int, names: Sequence[str], place: int, sentence: str, title: str = "Wrong value"
) -> BlockModelProblem:
    return BlockModelProblem(title, f"{batch.place(offset)}, column {place + 1} ({names[place][:100]}): {sentence}")


def _lines(file: TextIO) -> Iterator[str]:
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE + 1), ""), 1):
        if len(line) > MAX_LINE:
            raise BlockModelProblem("Wrong text", f"line {number}: it is longer than {MAX_LINE} characters")
        yield line


def _next(reader: Any, skipped: int) -> list[str] | None:  # noqa: ANN401 - the csv module does not name its type
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise _malformed(reader.line_num + skipped, error) from None
    return row


def _taken(reader: Any, before: int, skipped: int) -> list[list[str]]:  # noqa: ANN401 - likewise
    rows: list[list[str]] = []
    try:
        rows.extend(islice(reader, BATCH))
    except csv.Error as error:
        raise _malformed(max(reader.line_num + skipped, before + 1), error) from None
    return rows


def _malformed(line: int, error: csv.Error) -> BlockModelProblem:
    return BlockModelProblem("Wrong text", f"line {line}: this is not CSV: {error}")


def _starts(rows: Sequence[Sequence[str]], before: int) -> Iterator[int]:
    """Yield the line on which each row begins: a quoted value may hold line ends, and empty lines are rows here."""
    line = before + 1
    for row in rows:
        yield line
        line += 1 + sum(cell.count("\n") for cell in row)


def _first_not_utf8(path: Path) -> int:
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):  # noqa: B007 - the number is the answer
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    return number
