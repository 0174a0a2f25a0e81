"""Writing Parquet files: plain pages, a row group at a time, which every reader of Parquet takes."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from workers.block_models.kinds import half_to_bits
from workers.block_models.parquet import pages, thrift
from workers.block_models.parquet.thrift import BINARY, BYTE, I32, I64, LIST, STRUCT, TRUE, Field

_MAGIC: Final = b"PAR1"
_ROWS: Final = 1 << 16
"""Rows of a group: what is held in memory before it is written."""

_SIZES: Final = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64, "UInt8": 8, "UInt16": 16, "UInt32": 32, "UInt64": 64}
_CONVERTED: Final = {
    "UInt8": 11,
    "UInt16": 12,
    "UInt32": 13,
    "UInt64": 14,
    "Int8": 15,
    "Int16": 16,
    "Int32": 17,
    "Int64": 18,
    "Utf8": 0,
    "Date32": 6,
    "Timestamp": 10,
}
_PHYSICAL: Final = {
    "Boolean": pages.BOOLEAN,
    "Float32": pages.FLOAT,
    "Float64": pages.DOUBLE,
    "Utf8": pages.BYTE_ARRAY,
    "Float16": pages.FIXED,
    "Date32": pages.INT32,
    "Timestamp": pages.INT64,
    **{kind: pages.INT64 if bits == 64 else pages.INT32 for kind, bits in _SIZES.items()},  # noqa: PLR2004
}
_CODES: Final = {
    "Float32": "f",
    "Float64": "d",
    "Date32": "i",
    "Timestamp": "q",
    "UInt64": "Q",
    "UInt32": "I",
    "Int64": "q",
}


class ParquetFileWriter:
    """A file that is written; it is whole once the `with` block has ended. `columns` are names with kinds and whether nulls may be."""

    def __init__(self, path: Path, columns: Sequence[tuple[str, str, bool]]) -> None:
        self._columns = columns
        self._file: BinaryIO = path.open("wb")
        self._file.write(_MAGIC)
        self._held: list[list[Any]] = [[] for _ in columns]
        self._groups: list[list[Field]] = []
        self._rows = 0

    def __enter__(self) -> ParquetFileWriter:  # noqa: PYI034 - nodes may have Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            footer = thrift.written(self._footer())
            self._file.write(footer + struct.pack("<I", len(footer)) + _MAGIC)
        self._file.close()

    def write(self, values: Sequence[Sequence[Any]]) -> None:
        """Add rows, column by column."""
        for held, more in zip(self._held, values, strict=True):
            held.extend(more)
        if self._held and len(self._held[0]) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        rows = len(self._held[0])
        if not rows:
            return
        chunks = [self._chunk(*column, held) for column, held in zip(self._columns, self._held, strict=True)]
        size = sum(field[2] for chunk in chunks for field in chunk[1][2] if field[0] == 6)  # noqa: PLR2004 - their sizes
        self._groups.append([(1, LIST, (STRUCT, chunks)), (2, I64, size), (3, I64, rows)])
        self._rows += rows
        self._held = [[] for _ in self._columns]

    def _chunk(self, name: str, kind: str, is_optional: bool, values: list[Any]) -> list[Field]:
        start = self._file.tell()
        body = _body(kind, values, is_optional=is_optional)
        about: list[Field] = [(1, I32, len(values)), (2, I32, pages.PLAIN), (3, I32, pages.RLE), (4, I32, pages.RLE)]
        header = thrift.written([(1, I32, 0), (2, I32, len(body)), (3, I32, len(body)), (5, STRUCT, about)])
        self._file.write(header)
        self._file.write(body)
        size = len(header) + len(body)
        described: list[Field] = [
            (1, I32, _PHYSICAL[kind]),
            (2, LIST, (I32, [pages.PLAIN, pages.RLE])),
            (3, LIST, (BINARY, [name.encode()])),
            (4, I32, pages.UNCOMPRESSED),
            (5, I64, len(values)),
            (6, I64, size),
            (7, I64, size),
            (9, I64, start),
        ]
        return [(2, I64, start), (3, STRUCT, described)]

    def _footer(self) -> list[Field]:
        root: list[Field] = [(4, BINARY, b"schema"), (5, I32, len(self._columns))]
        schema = [root, *(_element(*column) for column in self._columns)]
        return [
            (1, I32, 2),
            (2, LIST, (STRUCT, schema)),
            (3, I64, self._rows),
            (4, LIST, (STRUCT, self._groups)),
            (6, BINARY, b"ganger"),
        ]


def _element(name: str, kind: str, is_optional: bool) -> list[Field]:
    fields: list[Field] = [(1, I32, _PHYSICAL[kind])]
    if kind == "Float16":
        fields.append((2, I32, 2))
    fields += [(3, I32, int(is_optional)), (4, BINARY, name.encode())]
    if kind in _CONVERTED:
        fields.append((6, I32, _CONVERTED[kind]))
    logical = _logical(kind)
    if logical is not None:
        fields.append((10, STRUCT, [logical]))
    return fields


def _logical(kind: str) -> Field | None:
    if kind in _SIZES:
        return 10, STRUCT, [(1, BYTE, _SIZES[kind]), (2, TRUE, not kind.startswith("U"))]
    if kind == "Timestamp":
        return 8, STRUCT, [(1, TRUE, True), (2, STRUCT, [(2, STRUCT, [])])]
    number = {"Utf8": 1, "Date32": 6, "Float16": 15}.get(kind)
    return None if number is None else (number, STRUCT, [])


def _body(kind: str, values: Sequence[Any], *, is_optional: bool) -> bytes:
    levels = b""
    if is_optional:
        levels = _levels(values)
        levels = struct.pack("<I", len(levels)) + levels
        values = [value for value in values if value is not None]
    return levels + _plain(kind, values)


def _levels(values: Sequence[Any]) -> bytes:
    """Return a bit for each value, 0 for null: as one run where all are alike."""
    nulls = values.count(None)
    if nulls in {0, len(values)}:
        return thrift.varint(len(values) << 1) + bytes([0 if nulls else 1])
    groups = (len(values) + 7) // 8
    return thrift.varint(groups << 1 | 1) + _bits([value is not None for value in values])


def _bits(marks: Sequence[bool]) -> bytes:
    padded = [*marks, *([False] * (-len(marks) % 8))]
    return bytes(
        sum(mark << place for place, mark in enumerate(padded[start : start + 8])) for start in range(0, len(padded), 8)
    )


def _plain(kind: str, values: Sequence[Any]) -> bytes:
    if kind == "Boolean":
        return _bits([bool(value) for value in values])
    if kind == "Utf8":
        pieces = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces)
    code = "H" if kind == "Float16" else _CODES.get(kind, "i")
    numbers = array(code, half_to_bits(values) if kind == "Float16" else values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
