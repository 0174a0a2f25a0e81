"""Capabilities in a user namespace: how an ordinary user's supervisor has them, and how the jobs it starts have not."""

import ctypes
import os
import struct
from typing import Final

_libc: Final = ctypes.PyDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_PR_CAP_AMBIENT: Final = 47
_RAISE: Final = 2
_CLEAR_ALL: Final = 4
_HEADER: Final = struct.pack("Ii", 0x20080522, 0)  # version 3, the calling thread
_SETS: Final = struct.Struct("6I")  # effective, permitted, inheritable; first their lower, then their upper halves
_NONE: Final = _SETS.pack(0, 0, 0, 0, 0, 0)
_WHOLE: Final = ("0", "0", "4294967295")


def is_of_machine() -> bool:
    """Whether this process is in the machine's own user namespace, where capabilities reach everything."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as lines:
            return tuple(lines.read().split()) == _WHOLE
    except OSError:  # a kernel without user namespaces
        return True


def hand_down() -> None:
    """Let programs that the thread starts keep its capabilities, whoever they run as (thread). Raises `OSError`."""
    buffer = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(_HEADER, buffer))
    effective, permitted, _, effective_high, permitted_high, _ = _SETS.unpack(buffer.raw)
    given = _SETS.pack(effective, permitted, permitted, effective_high, permitted_high, permitted_high)
    _check(_libc.capset(_HEADER, given))
    for number in range(64):
        if (permitted | permitted_high << 32) >> number & 1:
            _check(_libc.prctl(_PR_CAP_AMBIENT, _RAISE, number, 0, 0))


def drop() -> None:
    """Have no capability any more, nor the programs that the thread starts (thread; cannot be undone). Raises `OSError`."""
    _libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)  # refused where the kernel knows none
    _check(_libc.capset(_HEADER, _NONE))


def _check(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
