"""Conditions and ranges of a request for a file, as RFC 9110 has them (sections 13 and 14).

A file never changes, so its entity tag is strong and says everything; there is no date to compare with, and conditions with dates
are ignored. A tag that is weak, or that comes in an If-Range or If-Match, matches only as strictly as the RFC asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.datastructures import ETags
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]*)-([0-9]*)[ \t]*\Z", re.IGNORECASE)
_DIGITS = 18
"""A number of more digits is beyond the end of every file."""


@dataclass(frozen=True, slots=True)
class RangeConditions:
    """The headers of a request that decide what of a file is sent. `has_if_match` is whether the header was there at all."""

    method: str
    has_if_match: bool
    if_match: ETags
    if_none_match: ETags
    if_range: str | None
    range: str | None


def is_known(asked: RangeConditions, tag: str) -> bool:
    """Tell whether the client has this very file already (304). Raises PreconditionFailed if it wants another one (412)."""
    if asked.has_if_match and not asked.if_match.contains(tag):
        raise PreconditionFailed("the file is not the one of If-Match")
    return asked.if_none_match.contains_weak(tag)


def part(asked: RangeConditions, tag: str, size: int) -> tuple[int, int] | None:
    """Return the part to send as [start, end); None for the whole file.

    A range that cannot be read, several ranges, another unit, and a range for another state of the file get the whole, as the RFC
    allows or demands. Raises RequestedRangeNotSatisfiable for one that begins beyond the end.
    """
    found = _RANGE.match(asked.range) if asked.range is not None and asked.method == "GET" else None
    if found is None or (asked.if_range is not None and asked.if_range.strip() != f'"{tag}"'):
        return None
    first, last = (_number(word) for word in found.groups())
    if first is None and last is None:
        return None
    if first is None:  # the last so many bytes: all of them, if there are fewer
        start, end = max(0, size - (last or 0)), size
    else:
        if last is not None and last < first:
            return None
        start, end = first, size if last is None else min(size, last + 1)
    if start >= end:
        raise RequestedRangeNotSatisfiable(size)
    return start, end


def _number(digits: str) -> int | None:
    if not digits:
        return None
    plain = digits.lstrip("0") or "0"
    return int(plain) if len(plain) <= _DIGITS else 10**_DIGITS
