"""Reading Parquet files: columns side by side, batch by batch; only the pages at hand are in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from workers.block_models.parquet import pages
from workers.block_models.parquet.thrift import ThriftDocument
from workers.block_models.problem import BlockModelProblem

_MAGIC: Final = b"PAR1"
_MOST_FOOTER: Final = 64 << 20
_PAGE_HEADER: Final = 1 << 16
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_INT_KINDS: Final = {
    11: "UInt8",
    12: "UInt16",
    13: "UInt32",
    14: "UInt64",
    15: "Int8",
    16: "Int16",
    17: "Int32",
    18: "Int64",
}
_PER_MICROSECOND: Final = {1: (1000, 1), 2: (1, 1), 3: (1, 1000)}


@dataclass(frozen=True)
class ParquetColumn:
    """A column of a file. `kind` is one of ours, or None where no kind of ours has such values; `physical` is Parquet's type."""

    name: str
    kind: str | None
    physical: int
    width: int
    is_optional: bool
    factor: tuple[int, int] = (1, 1)
    """A time's unit, as a fraction of microseconds."""


@dataclass(frozen=True)
class _Chunk:
    """The part of a column within a row group."""

    codec: int
    start: int
    length: int
    values: int


class ParquetFileReader:
    """A file that is open. Raises ValueError, IndexError or struct.error where it is no Parquet file."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        try:
            footer = ThriftDocument(self._footer()).structure()
            self.columns = _columns(footer[2])
            self._groups = [(group[3], [_chunk(one) for one in group[1]]) for group in footer.get(4, [])]
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ParquetFileReader:  # noqa: PYI034 - nodes may have Python 3.10
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._file.close()

    def batches(self, places: Sequence[int], size: int) -> Iterator[list[list[Any]]]:
        """Yield the values of these columns, by their places, `size` rows at a time; None is null."""
        for rows, chunks in self._groups:
            sources = [_Buffered(self._values(self.columns[place], chunks[place])) for place in places]
            for start in range(0, rows, size):
                yield [source.take(min(size, rows - start)) for source in sources]

    def _footer(self) -> bytes:
        size = self._file.seek(0, 2)
        if size < 12:  # noqa: PLR2004 - two marks and a length
            raise ValueError("it is too short")
        self._file.seek(-8, 2)
        length, magic = struct.unpack("<I4s", self._file.read(8))
        if magic != _MAGIC or length > min(size - 12, _MOST_FOOTER):
            raise ValueError("its end is not that of a Parquet file")
        self._file.seek(size - 8 - length)
        return self._file.read(length)

    def _values(self, column: ParquetColumn, chunk: _Chunk) -> Iterator[list[Any]]:
        at, end, left = chunk.start, chunk.start + chunk.length, chunk.values
        dictionary: Sequence[Any] | None = None
        while left > 0:
            if at >= end:
                raise ValueError("a column ends too early")
            header, start = self._header(at)
            length = header[3]
            if not 0 <= length <= pages.MOST_PAGE:
                raise ValueError("a page is too large")
            self._file.seek(start)
            data = self._file.read(length)
            at = start + length
            if header[1] == _DICTIONARY:
                whole = pages.decompressed(data, chunk.codec, header[2])
                dictionary = _meant(column, pages.plain(whole, column.physical, column.width, header[7][1]))
            elif header[1] in {_DATA, _DATA_2}:
                values = _page(column, chunk.codec, header, data, dictionary)
                left -= len(values)
                yield values

    def _header(self, at: int) -> tuple[dict[int, Any], int]:
        self._file.seek(at)
        reader = ThriftDocument(self._file.read(_PAGE_HEADER))
        return reader.structure(), at + reader.at


class _Buffered:
    """Values that come page by page, taken as many at a time as are wanted."""

    def __init__(self, source: Iterator[list[Any]]) -> None:
        self._source, self._at = source, 0
        self._held: list[Any] = []

    def take(self, count: int) -> list[Any]:
        """Return the next values. Raises ValueError where the column has fewer."""
        while len(self._held) - self._at < count:
            following = next(self._source, None)
            if following is None:
                raise ValueError("a column has fewer values than the table has rows")
            self._held = self._held[self._at :] + following
            self._at = 0
        self._at += count
        return self._held[self._at - count : self._at]


def _chunk(column: dict[int, Any]) -> _Chunk:
    about = column[3]
    start = about[9]
    if 0 < about.get(11, 0) < start:
        start = about[11]
    return _Chunk(about[4], start, about[7], about[5])


def _columns(schema: Sequence[dict[int, Any]]) -> list[ParquetColumn]:
    columns = []
    for element in schema[1:]:
        name = element[4].decode("utf-8", "replace")
        if 5 in element or element.get(3) == 2:  # noqa: PLR2004 - repeated
            raise pages.unsupported(f"has the column {name[:100]!r}, which is not plain but nested")
        kind, factor = _kind(element)
        columns.append(ParquetColumn(name, kind, element[1], element.get(2, 0), element.get(3) == 1, factor))
    return columns


def _kind(element: dict[int, Any]) -> tuple[str | None, tuple[int, int]]:
    """Return the kind of ours that the values of a column are, and the unit of times."""
    physical, logical, converted = element[1], element.get(10) or {}, element.get(6)
    if physical == pages.INT96:
        return "Timestamp", (1, 1000)
    if 8 in logical:  # noqa: PLR2004 - a time
        return "Timestamp", _PER_MICROSECOND[next(iter(logical[8][2]))]
    if converted in {9, 10}:
        return "Timestamp", (1000, 1) if converted == 9 else (1, 1)  # noqa: PLR2004 - milliseconds
    if physical in {pages.INT32, pages.INT64}:
        return _whole_kind(physical, logical, converted), (1, 1)
    if physical in {pages.BYTE_ARRAY, pages.FIXED}:
        return ("Utf8" if 1 in logical or converted == 0 else "Float16" if 15 in logical else None), (1, 1)  # noqa: PLR2004
    return {pages.BOOLEAN: "Boolean", pages.FLOAT: "Float32", pages.DOUBLE: "Float64"}.get(physical), (1, 1)


def _whole_kind(physical: int, logical: dict[int, Any], converted: int | None) -> str | None:
    if 11 in logical:  # noqa: PLR2004 - of nothing but nulls
        return "Null"
    if 6 in logical or converted == 6:  # noqa: PLR2004 - days
        return "Date32"
    if 10 in logical:  # noqa: PLR2004 - an integer, by width and sign
        return f"{'Int' if logical[10].get(2) else 'UInt'}{logical[10][1]}"
    if logical or (converted is not None and converted not in _INT_KINDS):
        return None
    plain = "Int32" if physical == pages.INT32 else "Int64"
    return plain if converted is None else _INT_KINDS[converted]


def _page(
    column: ParquetColumn, codec: int, header: dict[int, Any], data: bytes, dictionary: Sequence[Any] | None
) -> list[Any]:
    about = header[5] if header[1] == _DATA else header[8]
    count, encoding = about[1], about[2] if header[1] == _DATA else about[4]
    if not 0 <= count <= pages.MOST_VALUES:
        raise ValueError("a page has too many values")
    if header[1] == _DATA:
        whole = pages.decompressed(data, codec, header[2])
        levels = b""
        if column.is_optional:
            length = int.from_bytes(whole[:4], "little")
            levels, whole = whole[4 : 4 + length], whole[4 + length :]
    else:
        skipped, length = about.get(6, 0), about.get(5, 0)
        levels = data[skipped : skipped + length]
        rest = data[skipped + length :]
        is_compressed = about.get(7, True)
        whole = pages.decompressed(rest, codec if is_compressed else pages.UNCOMPRESSED, header[2] - skipped - length)
    known = pages.hybrid(levels, 1, count) if column.is_optional else ()
    there = sum(known) if column.is_optional else count
    values = _decoded(column, encoding, whole, there, dictionary)
    if there == count:
        return [*values]
    following = iter(values)
    return [next(following) if mark else None for mark in known]


def _decoded(
    column: ParquetColumn, encoding: int, data: bytes, count: int, dictionary: Sequence[Any] | None
) -> Sequence[Any]:
    if encoding in {pages.RLE_DICTIONARY, pages.PLAIN_DICTIONARY}:
        if dictionary is None:
            raise ValueError("a page needs a dictionary, and there is none")
        if not count:
            return ()
        return [dictionary[number] for number in pages.hybrid(data[1:], data[0], count)]
    if encoding == pages.PLAIN:
        return _meant(column, pages.plain(data, column.physical, column.width, count))
    if encoding == pages.RLE and column.physical == pages.BOOLEAN:
        return [bool(one) for one in pages.hybrid(data[4:], 1, count)]
    raise pages.unsupported(f"encodes the column {column.name[:100]!r} in way {encoding}")


def _meant(column: ParquetColumn, values: Sequence[Any]) -> Sequence[Any]:
    """Return values as their kind has them: numbers without a sign, texts, times in microseconds."""
    kind = column.kind
    if kind == "Utf8":
        try:
            return [str(one, "utf-8") for one in values]
        except UnicodeDecodeError:
            sentence = f"the column {column.name[:100]!r} has a text that is not UTF-8"
            raise BlockModelProblem("Wrong text", sentence) from None
    if kind == "Timestamp" and column.factor != (1, 1):
        times, parts = column.factor
        return [one * times // parts for one in values]
    if kind == "Float16":
        return [struct.unpack("<e", one)[0] for one in values]
    if kind in {"UInt32", "UInt64"}:
        top = 1 << (32 if kind == "UInt32" else 64)
        return [one + top if one < 0 else one for one in values]
    return values
