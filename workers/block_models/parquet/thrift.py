"""Thrift's compact protocol, in which Parquet writes what it says of itself: structures as dictionaries by field number."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_MOST_DEPTH: Final = 32
_MOST_VARINT: Final = 10


class ThriftDocument:
    """Reads structures from bytes. Raises ValueError or IndexError for bytes that are none."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data, self.at = data, at

    def structure(self, depth: int = 0) -> dict[int, Any]:
        """Return the structure that begins here."""
        if depth > _MOST_DEPTH:
            raise ValueError("a structure is nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while True:
            head = self._byte()
            if head == 0:
                return found
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            found[number] = kind == TRUE if kind in {TRUE, FALSE} else self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - whatever the field is
        if kind in {I16, I32, I64}:
            value: Any = self._zigzag()
        elif kind == STRUCT:
            value = self.structure(depth + 1)
        elif kind == BINARY:
            value = self._bytes(self._varint())
        elif kind in {LIST, SET, MAP}:
            value = self._map(depth) if kind == MAP else self._list(depth)
        elif kind == DOUBLE:
            value = struct.unpack("<d", self._bytes(8))[0]
        else:
            value = self._byte()
        return value

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4
        kind = head & 15
        if count == 15:  # noqa: PLR2004 - the longer form follows
            count = self._varint()
        if count > len(self._data) - self.at:
            raise ValueError("a list is longer than the file")
        return [self._value(kind, depth) for _ in range(count)]

    def _map(self, depth: int) -> dict[Any, Any]:
        count = self._varint()
        kinds = self._byte() if count else 0
        if count > len(self._data) - self.at:
            raise ValueError("a map is longer than the file")
        return {self._value(kinds >> 4, depth): self._value(kinds & 15, depth) for _ in range(count)}

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _bytes(self, length: int) -> bytes:
        piece = self._data[self.at : self.at + length]
        if len(piece) != length:
            raise ValueError("the file ends too early")
        self.at += length
        return piece

    def _varint(self) -> int:
        value = 0
        for place in range(_MOST_VARINT):
            byte = self._byte()
            value |= (byte & 127) << (7 * place)
            if not byte & 128:
                return value
        raise ValueError("a number is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


def varint(value: int) -> bytes:
    """Return a number that is not negative in the form of variable length."""
    piece = bytearray()
    while value > 127:  # noqa: PLR2004 - seven bits a byte
        piece.append(value & 127 | 128)
        value >>= 7
    piece.append(value)
    return bytes(piece)


Field = tuple[int, int, Any]
"""A field to write: its number, its kind, and its value. A list's value is the kind of its members, and the members."""


def written(fields: Sequence[Field]) -> bytes:
    """Return a structure; fields stand in the order of their numbers."""
    piece, before = bytearray(), 0
    for number, kind, value in fields:
        step = number - before
        assert 0 < step < 16, "fields are close together"  # noqa: S101, PLR2004 - ours are
        piece.append(step << 4 | (kind if kind != TRUE or value else FALSE))
        if kind != TRUE:
            piece += _written(kind, value)
        before = number
    return bytes(piece + b"\0")


def _written(kind: int, value: Any) -> bytes:  # noqa: ANN401 - as the kind says
    if kind in {I32, I64}:
        return varint(value << 1 if value >= 0 else -value * 2 - 1)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind == BYTE:
        return bytes([value])
    if kind == STRUCT:
        return written(value)
    inner, members = value
    head = bytes([len(members) << 4 | inner]) if len(members) < 15 else bytes([15 << 4 | inner]) + varint(len(members))  # noqa: PLR2004
    return head + b"".join(_written(inner, member) for member in members)
