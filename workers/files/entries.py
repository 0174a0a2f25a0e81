"""The first names in an open folder, of which there may be millions, read with one call of the kernel where there are few."""

from __future__ import annotations

import ctypes
import itertools
import os
from typing import Final

_BYTES: Final = 512
_LENGTH_AT: Final = 16  # in struct linux_dirent64; a name begins 3 bytes later
_NAME_AT: Final = 19
_OWN: Final = (b".", b"..")
_OWN_BYTES: Final = 48  # these two alone, as they mostly stand
_SECOND_AT: Final = 43
_read: Final = getattr(ctypes.CDLL(None, use_errno=True), "getdents64", None)


def first_names(fd: int, most: int) -> list[str]:
    """Return at most so many of the names in a folder that was just opened. Raises OSError."""
    if _read is None:
        with os.scandir(fd) as found:
            return [entry.name for entry in itertools.islice(found, most)]
    buffer = ctypes.create_string_buffer(_BYTES)
    names: list[str] = []
    while len(names) < most:
        size = _read(fd, buffer, _BYTES)
        if size < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        if size == 0:
            break
        block = buffer.raw
        if size == _OWN_BYTES and block.startswith(b".\0", _NAME_AT) and block.startswith(b"..\0", _SECOND_AT):
            continue
        names += _names(block[:size])
    return names[:most]


def _names(block: bytes) -> list[str]:
    names, at = [], 0
    while at < len(block):
        end = at + int.from_bytes(block[at + _LENGTH_AT : at + _LENGTH_AT + 2], "little")
        name = block[at + _NAME_AT : end].partition(b"\0")[0]
        if name not in _OWN:
            names.append(os.fsdecode(name))
        at = end
    return names
