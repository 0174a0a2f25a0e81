"""Kinds: the data types of columns, how their values are stored, and how they are written in CSV.

A stored value is a number that the `array` code of its kind holds: a Boolean is 0 or 1, a Float16 its 16 bits, a Date32
the days and a Timestamp the microseconds since 1970 in UTC. Text is no number; see `columns`. None is null.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from math import isfinite

from workers.block_models.problem import CellProblem, shown

Stored = float | int | str | None
MAX_TEXT = 1 << 20
"""Bytes of the longest text of a cell, in UTF-8."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - nodes may have Python 3.10
_MICROSECOND = timedelta(microseconds=1)
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,30})(?:\.0*)?\s*\Z")
_FLOAT = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?\s*\Z")
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_BOOLEANS = {"true": 1, "1": 1, "t": 1, "yes": 1, "false": 0, "0": 0, "f": 0, "no": 0}
FLOAT16_MOST, FLOAT32_MOST = 65504.0, 3.4028234663852886e38


@dataclass(frozen=True)
class ColumnKind:
    """One data type. `code` is of the module `array`; `least` and `most` bound numbers; `one` reads the text of a cell."""

    name: str
    code: str
    width: int
    one: Callable[[str], float | int | str]
    many: Callable[[Sequence[str]], Sequence[float | int]] | None = None
    least: float | int | None = None
    most: float | int | None = None

    def read(self, cells: Sequence[str]) -> Sequence[Stored]:
        """Return the stored values of cells, None for empty ones. Raises CellProblem for the first that does not fit."""
        if self.many is not None and "" not in cells:
            joined = "".join(cells)
            if joined.isascii() and "_" not in joined:
                try:
                    values = self.many(cells)
                    if self._fits(values):
                        return values
                except (ValueError, OverflowError):
                    pass  # the careful way finds which cell it is, or takes what is only written unusually
        return [self._cell(cell, offset) for offset, cell in enumerate(cells)]

    def _fits(self, values: Sequence[float | int]) -> bool:
        if self.least is None or self.most is None:
            return True
        return self.least <= min(values) and max(values) <= self.most

    def _cell(self, cell: str, offset: int) -> Stored:
        if not cell or (self.name != "Utf8" and not cell.strip()):
            return None
        try:
            value = self.one(cell)
            if self.least is not None and self.most is not None and not isinstance(value, str):
                unbounded = isinstance(value, float) and not isfinite(value)
                if not unbounded and not self.least <= value <= self.most:
                    raise CellProblem(offset, f"{shown(cell)} is beyond the range of {self.name}")
        except (ValueError, OverflowError):
            raise CellProblem(
                offset, f"{shown(cell)} is not {_WANTED.get(self.name, f'a value of {self.name}')}"
            ) from None
        return value


def half_to_bits(values: Sequence[float]) -> Sequence[int]:
    """Return numbers as the 16 bits of Float16."""
    return struct.unpack(f"<{len(values)}H", struct.pack(f"<{len(values)}e", *values))


def bits_to_half(values: Sequence[int]) -> Sequence[float]:
    """Return the numbers that 16 bits each stand for."""
    return struct.unpack(f"<{len(values)}e", struct.pack(f"<{len(values)}H", *values))


def _integer(cell: str) -> int:
    found = _INTEGER.match(cell)
    if found is None or not cell.isascii():
        raise ValueError(cell)
    return int(found.group(1))


def _float(cell: str) -> float:
    if not (_FLOAT.match(cell) and cell.isascii()) and cell.strip().lower() not in _NOT_FINITE:
        raise ValueError(cell)
    return float(cell)


def _boolean(cell: str) -> int:
    value = _BOOLEANS.get(cell.strip().lower())
    if value is None:
        raise ValueError(cell)
    return value


def _text(cell: str) -> str:
    if len(cell.encode()) > MAX_TEXT:
        raise ValueError(cell)
    return cell


def _date(cell: str) -> int:
    if not _DATE.match(cell.strip()):
        raise ValueError(cell)
    return date.fromisoformat(cell.strip()).toordinal() - _EPOCH_DAY


def _timestamp(cell: str) -> int:
    word = cell.strip()
    moment = datetime.fromisoformat(f"{word[:-1]}+00:00" if word[-1:] in "zZ" else word)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)  # noqa: UP017 - nodes may have Python 3.10
    return (moment - _EPOCH) // _MICROSECOND


def _booleans(cells: Sequence[str]) -> Sequence[int]:
    try:
        return [_BOOLEANS[cell] for cell in cells]
    except KeyError:
        raise ValueError from None


def _integers(cells: Sequence[str]) -> Sequence[int]:
    return list(map(int, cells))


def _floats(cells: Sequence[str]) -> Sequence[float]:
    return list(map(float, cells))


def _whole(name: str, code: str, width: int, bits: int, *, signed: bool) -> ColumnKind:
    most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    return ColumnKind(name, code, width, _integer, _integers, -(2 ** (bits - 1)) if signed else 0, most)


_ALL = (
    ColumnKind("Boolean", "B", 1, _boolean, _booleans),
    _whole("Int8", "b", 1, 8, signed=True),
    _whole("Int16", "h", 2, 16, signed=True),
    _whole("Int32", "i", 4, 32, signed=True),
    _whole("Int64", "q", 8, 64, signed=True),
    _whole("UInt8", "B", 1, 8, signed=False),
    _whole("UInt16", "H", 2, 16, signed=False),
    _whole("UInt32", "I", 4, 32, signed=False),
    _whole("UInt64", "Q", 8, 64, signed=False),
    ColumnKind("Float16", "H", 2, _float, _floats, -FLOAT16_MOST, FLOAT16_MOST),
    ColumnKind("Float32", "f", 4, _float, _floats, -FLOAT32_MOST, FLOAT32_MOST),
    ColumnKind("Float64", "d", 8, _float, _floats),
    ColumnKind("Utf8", "Q", 8, _text),
    ColumnKind("Date32", "i", 4, _date),
    ColumnKind("Timestamp", "q", 8, _timestamp),
)
KINDS = {kind.name: kind for kind in _ALL}
_WANTED = {
    "Boolean": "true or false",
    "Utf8": f"a text of at most {MAX_TEXT} bytes",
    "Date32": "a date such as 2026-01-31",
    "Timestamp": "a time such as 2026-01-31T12:00:00Z",
    **dict.fromkeys(("Float16", "Float32", "Float64"), "a number"),
    **{kind.name: "a whole number" for kind in _ALL if kind.one is _integer},
}


def written(kind: ColumnKind, values: Sequence[Stored]) -> Sequence[object]:
    """Return stored values as CSV shows them; None stays None."""
    if kind.name in _DIGITS:
        return _shortest(kind.name, values)
    write = _WRITTEN.get(kind.name)
    return values if write is None else [None if value is None else write(value) for value in values]


_DIGITS = {"Float16": (3, 5), "Float32": (7, 9)}
"""Significant digits that often tell a number of this width from its neighbours, and those that always do."""


def _shortest(kind: str, values: Sequence[Stored]) -> Sequence[object]:
    few, enough = _DIGITS[kind]
    plain = [0.0 if value is None else float(value) for value in values]
    short = [float(f"{value:.{few}g}") for value in plain]
    back = bits_to_half(half_to_bits(short)) if kind == "Float16" else array("f", short)
    return [
        None if value is None else brief if again == exact or exact != exact else float(f"{exact:.{enough}g}")  # noqa: PLR0124
        for value, brief, again, exact in zip(values, short, back, plain, strict=True)
    ]


def _written_date(value: Stored) -> str:
    return date.fromordinal(int(value or 0) + _EPOCH_DAY).isoformat()


def _written_timestamp(value: Stored) -> str:
    moment = _EPOCH + int(value or 0) * _MICROSECOND
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def _written_boolean(value: Stored) -> str:
    return "true" if value else "false"


_WRITTEN: dict[str, Callable[[Stored], str]] = {
    "Boolean": _written_boolean,
    "Date32": _written_date,
    "Timestamp": _written_timestamp,
}
