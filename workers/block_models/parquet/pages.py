"""Pages of Parquet columns: taken apart into values."""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

from workers.block_models.problem import BlockModelProblem

BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY, FIXED = range(8)
PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY = 0, 2, 3, 8
UNCOMPRESSED, SNAPPY, GZIP = 0, 1, 2
MOST_PAGE: Final = 256 << 20
"""Bytes of the largest page: writers make pages of a megabyte or so."""

MOST_VALUES: Final = 1 << 24
"""Values of the largest page."""

_CODES: Final = {INT32: "i", INT64: "q", FLOAT: "f", DOUBLE: "d"}
_CODECS: Final = {3: "LZO", 4: "Brotli", 5: "LZ4", 6: "Zstandard", 7: "LZ4"}


def unsupported(what: str) -> BlockModelProblem:
    """Return the problem of a file that only pyarrow reads."""
    return BlockModelProblem(
        "Unreadable file", f"the Parquet file {what}; write it plainly, with snappy or gzip, or give the nodes pyarrow"
    )


def decompressed(data: bytes, codec: int, size: int) -> bytes:
    """Return the bytes of a page. Raises BlockModelProblem for another codec, ValueError for bytes of another length."""
    if not 0 <= size <= MOST_PAGE:
        raise ValueError(f"a page of {size} bytes")
    if codec == UNCOMPRESSED:
        whole = data
    elif codec == SNAPPY:
        whole = _snappy(data, size)
    elif codec == GZIP:
        whole = zlib.decompressobj(31).decompress(data, size + 1)
    else:
        raise unsupported(f"is compressed with {_CODECS.get(codec, f'codec {codec}')}")
    if len(whole) != size:
        raise ValueError("a page has another length than it says")
    return whole


def _snappy(data: bytes, size: int) -> bytes:
    """Return what a block of snappy holds, see https://github.com/google/snappy/blob/main/format_description.txt."""
    length, at = _leading(data, 0)
    if length != size:
        raise ValueError("a page has another length than it says")
    out = bytearray()
    end = len(data)
    while at < end:
        tag = data[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            count = tag >> 2
            if count >= 60:  # noqa: PLR2004 - the length stands in the bytes that follow
                extra = count - 59
                count = int.from_bytes(data[at : at + extra], "little")
                at += extra
            count += 1
            out += data[at : at + count]
            at += count
        else:
            if kind == 1:
                count, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
                at += 1
            else:
                width = 2 if kind == 2 else 4  # noqa: PLR2004 - two sizes of distances
                count, back = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
                at += width
            start = len(out) - back
            if not 0 <= start < len(out):
                raise ValueError("a copy from before the beginning")
            piece = out[start : start + count]
            out += piece if back >= count else (piece * (count // back + 1))[:count]
        if len(out) > size:
            raise ValueError("a page is longer than it says")
    return bytes(out)


def _leading(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if not byte & 128 or shift > 63:  # noqa: PLR2004 - seven bits a byte, of 64
            return value, at
        shift += 7


def hybrid(data: bytes, width: int, count: int) -> Sequence[int]:
    """Return `count` numbers of `width` bits: runs of one number, and groups of eight packed ones."""
    out: list[int] = []
    at, size = 0, (width + 7) // 8
    while len(out) < count:
        head, at = _leading(data, at)
        if head & 1:
            groups = min(head >> 1, (count - len(out) + 7) // 8)
            out += _unpacked(data[at : at + groups * width], width, groups)
            at += (head >> 1) * width
        else:
            number = int.from_bytes(data[at : at + size], "little")
            at += size
            run = head >> 1
            if run == 0:
                raise ValueError("a run of nothing")
            out += [number] * min(run, count - len(out))
    del out[count:]
    return out


def _unpacked(data: bytes, width: int, groups: int) -> Sequence[int]:
    if len(data) != groups * width:
        raise ValueError("packed numbers end too early")
    if width == 0:
        return [0] * (groups * 8)
    if width in {8, 16, 32}:
        return plain_numbers(data, {8: "B", 16: "H", 32: "I"}[width])
    mask, shifts = (1 << width) - 1, range(0, 8 * width, width)
    out: list[int] = []
    for start in range(0, len(data), width):
        packed = int.from_bytes(data[start : start + width], "little")
        out += [packed >> shift & mask for shift in shifts]
    return out


def plain_numbers(data: bytes, code: str) -> Sequence[Any]:
    """Return numbers of an array code, which are little-endian in files."""
    numbers = array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def plain(data: bytes, kind: int, width: int, count: int) -> Sequence[Any]:
    """Return `count` values as they stand one after the other, texts and fixed lengths as bytes."""
    if kind in _CODES:
        size = 4 if kind in {INT32, FLOAT} else 8
        if len(data) < count * size:
            raise ValueError("values end too early")
        return plain_numbers(data[: count * size], _CODES[kind])
    return _PLAIN[kind](data, width, count)


def _plain_booleans(data: bytes, _width: int, count: int) -> Sequence[Any]:
    if len(data) * 8 < count:
        raise ValueError("values end too early")
    return [bool(data[at >> 3] >> (at & 7) & 1) for at in range(count)]


def _plain_bytes(data: bytes, _width: int, count: int) -> Sequence[Any]:
    out, at, unpack = [], 0, struct.Struct("<I").unpack_from
    for _ in range(count):
        start = at + 4
        at = start + unpack(data, at)[0]
        out.append(data[start:at])
    if at > len(data):
        raise ValueError("values end too early")
    return out


def _plain_fixed(data: bytes, width: int, count: int) -> Sequence[Any]:
    if width <= 0 or len(data) < width * count:
        raise ValueError("values end too early")
    return [data[at : at + width] for at in range(0, width * count, width)]


def _plain_moments(data: bytes, _width: int, count: int) -> Sequence[Any]:
    """Times of 96 bits: nanoseconds of the day, and the Julian day; as nanoseconds since 1970."""
    parts = struct.iter_unpack("<qi", data[: 12 * count])
    return [(day - 2_440_588) * 86_400_000_000_000 + nanoseconds for nanoseconds, day in parts]


_PLAIN: Final[dict[int, Callable[[bytes, int, int], Sequence[Any]]]] = {
    BOOLEAN: _plain_booleans,
    BYTE_ARRAY: _plain_bytes,
    FIXED: _plain_fixed,
    INT96: _plain_moments,
}
