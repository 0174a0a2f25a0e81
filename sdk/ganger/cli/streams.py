"""Standard input and output as they may be: closed, full, gone, of another encoding. Commands write as if all were well.

`prepare` puts writers in their place that neither stop at a character that the terminal cannot show nor end in a
traceback when the disk is full. `OutputLost` is raised when the answer can go nowhere; notes are dropped in silence.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ganger.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2
SPELLED = "ganger.spelled"
"""The name under which codecs know `_spelled`."""

_ASCII = {"…": "...", "→": "->", "≥": ">=", "≤": "<=", "·": "-"}
_ESCAPED = range(0xDC80, 0xDD00)
"""The characters that Python makes of bytes that are no UTF-8, in arguments and in names of files (PEP 383)."""


class OutputLost(OSError):
    """The answer cannot be written. `reader_left` tells that whoever read it has enough, as `head` does."""

    def __init__(self, sentence: str, *, reader_left: bool) -> None:
        super().__init__(sentence)
        self.reader_left = reader_left


def prepare() -> None:
    """Replace the standard streams of this process; once, before anything is printed."""
    closed = _fill_holes()
    codecs.register_error(SPELLED, _spelled)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _writer(STDOUT, sys.stdout, closed=STDOUT in closed, must_arrive=True)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _writer(STDERR, sys.stderr, closed=STDERR in closed, must_arrive=False)


def flush() -> None:
    """Write what is still kept. Raises OutputLost."""
    sys.stdout.flush()
    sys.stderr.flush()


def abandon() -> None:
    """Send what is still kept for standard output nowhere, so that the interpreter does not complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.close(nowhere)


def read_text(path: Path, *, what: str = "") -> str:
    """Return the text of a file, of standard input for `-`. Raises UsageError if it is no UTF-8, OSError."""
    named = "standard input" if path == Path("-") else str(path)
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what}{named} is not UTF-8 text (byte {error.start + 1})") from None


def _bytes(path: Path) -> bytes:
    if path != Path("-"):
        return path.read_bytes()
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    return sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode()


class _Writer(io.FileIO):
    """A file descriptor that says in its own words why it cannot be written, once; then it takes everything."""

    def __init__(self, descriptor: int, *, closed: bool, must_arrive: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_lost, self._must_arrive, self._was_closed = False, must_arrive, closed

    def write(self, piece: ReadableBuffer, /) -> int:
        """Write a piece. Raises OutputLost the first time that it cannot be done."""
        if not self._is_lost:
            try:
                if self._was_closed:
                    raise OSError(errno.EBADF, "it is closed")  # noqa: TRY301 - told like every other reason
                return super().write(piece)
            except OSError as error:
                self._is_lost = True
                if self._must_arrive:
                    sentence = f"the answer cannot be written to standard output: {error.strerror}"
                    raise OutputLost(sentence, reader_left=error.errno == errno.EPIPE) from None
        return memoryview(piece).nbytes


def _writer(descriptor: int, replaced: object, *, closed: bool, must_arrive: bool) -> io.TextIOWrapper:
    old = replaced if isinstance(replaced, io.TextIOWrapper) else None
    if old is not None:
        old.flush()
    raw = _Writer(descriptor, closed=closed, must_arrive=must_arrive)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=old.encoding if old else "utf-8",
        errors=SPELLED,
        line_buffering=old.line_buffering if old else True,
        write_through=old.write_through if old else False,
    )


def _fill_holes() -> frozenset[int]:
    """Open nothing in place of closed standard streams, lest a connection gets such a number; return the numbers."""
    closed = set()
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(descriptor)
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    return frozenset(closed)


def _spelled(error: UnicodeError) -> tuple[bytes, int]:
    """Return how characters are written that an encoding lacks: bytes that were none as they were, the rest in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = b"".join(_spelling(character) for character in error.object[error.start : error.end])
    return written, error.end


def _spelling(character: str) -> bytes:
    if ord(character) in _ESCAPED:
        return bytes([ord(character) - 0xDC00])
    return _ASCII.get(character, "").encode() or character.encode("ascii", "backslashreplace")
