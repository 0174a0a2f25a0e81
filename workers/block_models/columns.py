"""Columns: one file for each column of a version, with a value for every block of the grid, by the block's number.

    header   4096 bytes: a line of JSON with the kind and the number of blocks
    known    a byte for each block: 1 where it has a value, 0 where it is null
    values   one stored value for each block, from a multiple of 8 on
    texts    only of Utf8: the texts in UTF-8, one after the other; the stored value is start * 2**24 + length

The file is mapped into memory, not read: the kernel brings and drops its pages. Blocks that were never written take no
room on the disk, where the file system can leave holes.
"""

from __future__ import annotations

import json
import mmap
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from workers.block_models.kinds import KINDS, ColumnKind, Stored, bits_to_half, half_to_bits
from workers.block_models.problem import BlockModelProblem

_HEADER = 4096
_LENGTH_BITS = 24
_LENGTH = (1 << _LENGTH_BITS) - 1
_MAGIC = "ganger-column-1"
BATCH = 8192
"""Blocks or rows that are handled at once."""


class ColumnFile:
    """A column that is open; close it, so that what was written is in the file. Use `create` and `open_column`."""

    def __init__(self, path: Path, kind: ColumnKind, blocks: int, *, writable: bool) -> None:
        self.kind, self.blocks = kind, blocks
        self._file: BinaryIO = path.open("r+b" if writable else "rb")
        start = _values_at(blocks)
        self._texts_at = start + blocks * kind.width
        length = self._texts_at if writable or kind.name != "Utf8" else 0  # 0: all of it
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map = mmap.mmap(self._file.fileno(), length, access=access)
        self._whole = memoryview(self._map)
        self._known = self._whole[_HEADER : _HEADER + blocks]
        self._values: Any = self._whole[start : self._texts_at].cast(kind.code)  # type: ignore[call-overload]  # codes are data here
        self._texts_end = 0
        if writable and kind.name == "Utf8":
            self._texts_end = self._file.seek(0, 2) - self._texts_at

    def close(self) -> None:
        """Release the file; what was written is in it from then on."""
        for view in (self._known, self._values, self._whole):
            view.release()
        self._map.close()
        self._file.close()

    def write(self, numbers: Sequence[int], values: Sequence[Stored]) -> None:
        """Set the values of blocks by their numbers, None for null. A range as `numbers` is written at once."""
        stored, known = self._stored(values)
        if isinstance(numbers, range):
            self._values[numbers.start : numbers.stop] = memoryview(array(self.kind.code, stored))
            self._known[numbers.start : numbers.stop] = known
            return
        into, marks = self._values, self._known
        for number, value in zip(numbers, stored, strict=True):
            into[number] = value
        for number, mark in zip(numbers, known, strict=True):
            marks[number] = mark

    def read(self, start: int, stop: int) -> list[Stored]:
        """Return the values of the blocks from one number to another, None for null."""
        known = bytes(self._known[start:stop])
        values: Sequence[Stored] = self._shown(self._values[start:stop].tolist(), known)
        if 0 in known:
            return [value if mark else None for value, mark in zip(values, known, strict=True)]
        return list(values)

    def _stored(self, values: Sequence[Stored]) -> tuple[Sequence[int | float], bytes]:
        if None in values:
            known = bytes([value is not None for value in values])
            zero: Stored = "" if self.kind.name == "Utf8" else 0
            values = [zero if value is None else value for value in values]
        else:
            known = b"\x01" * len(values)
        if self.kind.name == "Utf8":
            return self._append(str(value) for value in values), known
        if self.kind.name == "Float16":
            return half_to_bits([float(value or 0) for value in values]), known
        return values, known  # type: ignore[return-value]  # the kind is none of text, and no null is left

    def _append(self, texts: Iterable[str]) -> list[int]:
        places, pieces, at = [], [], self._texts_end
        for text in texts:
            piece = text.encode()
            places.append(at << _LENGTH_BITS | len(piece))
            pieces.append(piece)
            at += len(piece)
        self._file.write(b"".join(pieces))
        self._texts_end = at
        return places

    def _shown(self, values: list[int | float], known: bytes) -> Sequence[Stored]:
        if self.kind.name == "Boolean":
            return [bool(value) for value in values]
        if self.kind.name == "Float16":
            return bits_to_half([int(value) for value in values])
        if self.kind.name != "Utf8":
            return values
        whole, base = self._whole, self._texts_at
        places = ((base + (int(value) >> _LENGTH_BITS), int(value) & _LENGTH) for value in values)
        return [
            str(whole[at : at + length], "utf-8") if mark else None
            for (at, length), mark in zip(places, known, strict=True)
        ]


def file_name(column_id: str) -> str:
    """Return the name of a column's file, by which a node finds it among what a job has written."""
    return f"{column_id}.column"


def create(path: Path, kind: ColumnKind, blocks: int) -> ColumnFile:
    """Make a column of nulls and open it for writing."""
    header = json.dumps({"format": _MAGIC, "kind": kind.name, "blocks": blocks})
    with path.open("xb") as file:
        file.write(header.encode().ljust(_HEADER, b"\n"))
        file.truncate(_values_at(blocks) + blocks * kind.width)
    return ColumnFile(path, kind, blocks, writable=True)


def open_column(path: Path, kind: ColumnKind, blocks: int) -> ColumnFile:
    """Open a column for reading. Raises BlockModelProblem where the file is of another kind or of another grid."""
    with path.open("rb") as file:
        line = file.readline(_HEADER)
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if said != {"format": _MAGIC, "kind": kind.name, "blocks": blocks}:
        raise BlockModelProblem("Broken column", f"{path.name} is no column of {kind.name} with {blocks} blocks")
    return ColumnFile(path, KINDS[kind.name], blocks, writable=False)


def copy(old: ColumnFile, new: ColumnFile) -> None:
    """Write all values of a column into another one of the same kind; texts that are not used any more stay behind."""
    for start in range(0, old.blocks, BATCH):
        stop = min(start + BATCH, old.blocks)
        new.write(range(start, stop), old.read(start, stop))


def _values_at(blocks: int) -> int:
    return _HEADER + -(-blocks // 8) * 8
