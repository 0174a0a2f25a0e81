"""The filter of kernel calls that jobs run under (seccomp): calls that no job needs, and that attacks on a kernel begin with.

A call that is denied fails with EPERM, as it does for want of privilege. Programs of another architecture (32 bit) have other
numbers, and no way around the filter is left: every call of theirs fails. The filter is handed down to all that a job starts,
and nothing takes it off. `strict` also denies namespaces and mounts, which containers inside of a job would need.
"""

import ctypes
import errno
import os
import struct
from typing import Final

from workers.supervisor import syscalls

STRICT: Final = "strict"
NAMESPACES: Final = "namespaces"
KINDS: Final = (STRICT, NAMESPACES)

_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32: Final = 0x40000000  # numbers from here on are those of the x32 calls
# Numbers on x86_64 and aarch64; None where there is no such call.
_NEVER: Final[dict[str, tuple[int | None, int | None]]] = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "clock_adjtime": (305, 266), "clock_settime": (227, 112),
    "create_module": (174, None), "delete_module": (176, 106), "finit_module": (313, 273), "init_module": (175, 105),
    "io_uring_setup": (425, 425), "ioperm": (173, None), "iopl": (172, None), "kcmp": (312, 272),
    "kexec_file_load": (320, 294), "kexec_load": (246, 104), "keyctl": (250, 219), "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42), "open_by_handle_at": (304, 265), "perf_event_open": (298, 241), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "reboot": (169, 142), "request_key": (249, 218), "settimeofday": (164, 170),
    "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116), "userfaultfd": (323, 282), "vhangup": (153, 58),
}  # fmt: skip
_NO_NAMESPACES: Final[dict[str, tuple[int | None, int | None]]] = {
    "fsconfig": (431, 431), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433), "mount": (165, 40),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "open_tree": (428, 428), "pivot_root": (155, 41),
    "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268), "umount2": (166, 39), "unshare": (272, 97),
}  # fmt: skip
_CLONE: Final = (56, 220)
_CLONE3: Final = 435  # its flags lie in memory, where no filter can look: the C library falls back to clone
_NEW_NAMESPACES: Final = 0x7E020000

_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000
_INSTRUCTION: Final = struct.Struct("HBBI")


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


class SyscallFilter:
    """A filter, built once; `install` puts it on the calling thread."""

    def __init__(self, kind: str) -> None:
        """Raises `OSError` on an architecture whose call numbers are not known."""
        block = _build(kind, os.uname().machine)
        self._block = ctypes.create_string_buffer(block, len(block))  # kept: the program points to it
        self._program = _Program(len(block) // _INSTRUCTION.size, ctypes.addressof(self._block))

    def install(self) -> None:
        """Put the thread, and all that it starts, under the filter for good (thread). Raises `OSError`."""
        syscalls.forbid_new_privileges()
        syscalls.filter_calls(ctypes.addressof(self._program))


def _build(kind: str, machine: str) -> bytes:
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no call numbers known for {machine}")
    column = 0 if machine == "x86_64" else 1
    denied = {**_NEVER, **(_NO_NAMESPACES if kind == STRICT else {})}
    numbers = sorted(number for pair in denied.values() if (number := pair[column]) is not None)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    steps.append((_LOAD, 0, 0, _NUMBER_AT))
    if column == 0:
        steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
    if kind == STRICT:
        steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
        steps += [(_EQUAL, 0, 4, _CLONE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)]
        steps += [(_ANY_BIT, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _FAIL | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    for place, number in enumerate(numbers):
        steps.append((_EQUAL, len(numbers) - place, 0, number))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    return b"".join(_INSTRUCTION.pack(*step) for step in steps)
