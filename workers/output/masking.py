"""Masking: in the output that is shipped, each byte of a secret becomes a star.

Only the value itself is recognised, not an encoding that a program makes of it. The length stays the same, and with it
all offsets.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import Final

from workers.paths import ExecutionKey, Paths

_LEAST_BYTES: Final = 4
"""A shorter value also occurs in much text that is no secret."""
_LEAST_LINE: Final = 8


@dataclass(frozen=True, slots=True)
class SecretMask:
    """The secrets of one execution."""

    pattern: re.Pattern[bytes]
    secrets: tuple[bytes, ...]

    def hide(self, piece: bytes) -> bytes:
        """Return the piece with stars for every secret in it."""
        return self.pattern.sub(lambda found: b"*" * len(found.group()), piece)

    def unsure(self, piece: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret whose rest is not here yet."""
        for length in range(min(len(piece), max(map(len, self.secrets)) - 1), 0, -1):
            end = piece[-length:]
            if any(word.startswith(end) for word in self.secrets):
                return length
        return 0


def of(values: list[bytes]) -> SecretMask | None:
    """Return the mask for these values and for their longer lines; None when there is nothing to hide."""
    secrets = {word for value in values for word in (value, value.strip(), *_lines(value)) if len(word) >= _LEAST_BYTES}
    if not secrets:
        return None
    ordered = tuple(sorted(secrets, key=len, reverse=True))
    return SecretMask(re.compile(b"|".join(map(re.escape, ordered))), ordered)


def read(key: ExecutionKey, paths: Paths) -> SecretMask | None:
    """Return the mask for the secrets of an execution; None when it has none."""
    values = []
    with contextlib.suppress(OSError):
        folder = paths.secrets(key)
        for name in os.listdir(folder):  # noqa: PTH208  called for every execution; most have none
            fd = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                values.append(file.read())
    return of(values)


def _lines(value: bytes) -> list[bytes]:
    return [line.strip() for line in value.splitlines() if len(line.strip()) >= _LEAST_LINE]
