"""Ids in addresses: texts here, numbers inside. What is no number of ours is simply not there."""

from __future__ import annotations

from scheduler.errors import NotFound

LONGEST = 18


def number(text: str, kind: str) -> int:
    """Return the number of an id; raises NotFound."""
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST):
        raise NotFound(f"there is no {kind} {text[:80]!r}")
    return int(text)
