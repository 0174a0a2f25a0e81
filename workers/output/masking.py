"""Masking: in the output that is shipped, each byte of a secret becomes a star.

Only the value itself is recognised, not an encoding that a program makes of it. The length stays the same, and with it
all offsets. The time that it takes grows with the output and not with what is in it or in the secrets: all secrets are
looked for at once, without going back (A. Aho and M. Corasick, "Efficient String Matching: An Aid to Bibliographic
Search", 1975). A few of them are found faster one by one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from typing import Final

from workers.paths import ExecutionKey, Paths

_LEAST_BYTES: Final = 4
"""A shorter value also occurs in much text that is no secret."""
_LEAST_LINE: Final = 8
_FEW: Final = 8
_SHORT: Final = 256
"""So many words are looked for one by one, if none is longer than this: where a word begins again within itself, each of its
bytes may be compared as often as it is long."""
_MOST_SECRETS: Final = 1_000
_MOST_SECRET_BYTES: Final = 1 << 20
"""More than the API takes: the files belong to the node, but where jobs run as its own user they may have written them."""


class SecretMask:
    """The secrets of one execution, ready to be found in its output."""

    def __init__(self, secrets: list[bytes]) -> None:
        """`secrets` are not empty. All the rest is made when output comes, in the thread that ships it."""
        self._secrets = secrets
        self._longest = max(map(len, secrets))
        self._few = secrets if len(secrets) <= _FEW and self._longest <= _SHORT else None
        self._next: dict[int, int] = {}
        """State and byte, as one number, to the next state. State 0 knows nothing; a state stands for the start of a word."""
        self._depth, self._fallback, self._hit = [0], [0], [0]
        self._inner: set[int] = set()

    def hide(self, piece: bytes) -> bytes:
        """Return the piece with stars for every secret in it."""
        hidden, end = bytearray(piece), 0
        for start, stop in sorted(self._hits(piece)):
            if stop > end:
                hidden[max(start, end) : stop] = b"*" * (stop - max(start, end))
                end = stop
        return bytes(hidden)

    def unsure(self, piece: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret whose rest is not here yet."""
        state = self._start()
        for byte in piece[-(self._longest - 1) :]:
            state = self._after(state, byte)
        # A whole word at the end is sure by itself, but may begin a longer one: then its state goes on.
        while state and state not in self._inner:
            state = self._fallback[state]
        return self._depth[state]

    def _hits(self, piece: bytes) -> Iterator[tuple[int, int]]:
        if self._few is not None:
            for word in self._few:
                at = piece.find(word)
                while at >= 0:
                    yield at, at + len(word)
                    at = piece.find(word, at + 1)
            return
        state = self._start()
        for end, byte in enumerate(piece, 1):
            state = self._after(state, byte)
            if self._hit[state]:
                yield end - self._hit[state], end

    def _start(self) -> int:
        """Return the first state. All others are made now if they are not there yet."""
        if not self._inner:
            for word in self._secrets:
                self._add(word)
            self._inner = {key >> 8 for key in self._next}
            self._link()
        return 0

    def _add(self, word: bytes) -> None:
        state = 0
        for byte in word:
            key = state << 8 | byte
            if key not in self._next:
                self._next[key] = len(self._depth)
                self._depth.append(self._depth[state] + 1)
                self._fallback.append(0)
                self._hit.append(0)
            state = self._next[key]
        self._hit[state] = len(word)

    def _link(self) -> None:
        """Let each state know the longest shorter start of a word that its bytes end with, and the longest word."""
        for key, state in sorted(self._next.items(), key=lambda entry: self._depth[entry[1]]):
            before = key >> 8
            if before:
                self._fallback[state] = self._after(self._fallback[before], key & 0xFF)
            self._hit[state] = self._hit[state] or self._hit[self._fallback[state]]

    def _after(self, state: int, byte: int) -> int:
        while (following := self._next.get(state << 8 | byte)) is None:
            if not state:
                return 0
            state = self._fallback[state]
        return following


def of(values: list[bytes]) -> SecretMask | None:
    """Return the mask for these values and for their longer lines; None when there is nothing to hide."""
    secrets = {word for value in values for word in (value, value.strip(), *_lines(value)) if len(word) >= _LEAST_BYTES}
    return SecretMask(sorted(secrets)) if secrets else None


def read(key: ExecutionKey, paths: Paths) -> SecretMask | None:
    """Return the mask for the secrets of an execution; None when it has none."""
    values: list[bytes] = []
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        folder = os.open(paths.secrets(key), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.callback(os.close, folder)
        with os.scandir(folder) as entries:
            values = [_value(folder, entry.name) for entry in itertools.islice(entries, _MOST_SECRETS)]
    return of(values)


def _value(folder: int, name: str) -> bytes:
    """Return what is in a secret's file; nothing for anything that is not a plain file of a secret's length."""
    with contextlib.suppress(OSError):
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            found = os.fstat(fd)
            if stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_SECRET_BYTES:
                return os.pread(fd, _MOST_SECRET_BYTES, 0)
        finally:
            os.close(fd)
    return b""


def _lines(value: bytes) -> list[bytes]:
    return [line.strip() for line in value.splitlines() if len(line.strip()) >= _LEAST_LINE]
