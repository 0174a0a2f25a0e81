"""Kernel calls that Python does not offer, as thin functions that raise `OSError`.

Calls that are marked *thread* change the calling thread alone: Linux keeps credentials, the working directory,
namespaces and cgroups per thread, and a child that the thread starts inherits them. The supervisor does
all its work in one thread that is not the process's first, so that the process itself never changes.
"""

import ctypes
import errno
import os
import select
from typing import Final

from workers.supervisor.confining import capabilities

# PyDLL keeps the interpreter lock: these calls are short, and a child that is forked must have it (`forking`).
_libc: Final = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.argtypes = [ctypes.c_long] * 5
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
# This one may take many milliseconds: others of the process go on meanwhile.
_patient_libc: Final = ctypes.CDLL(None, use_errno=True)
_patient_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

_CLONE_FS: Final = 0x200
CLONE_NEWNS: Final = 0x20000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWPID: Final = 0x20000000
_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_SFD_FLAGS: Final = os.O_CLOEXEC | os.O_NONBLOCK
_FALLOC_KEEP_SIZE: Final = 1
_CAP_SYS_RESOURCE: Final = 24
_SIG_DFL: Final = 0
_SIG_IGN: Final = 1

# Numbers of setgroups, setresuid, setresgid: the C library's functions of these names change every thread of
# the process, so the kernel has to be called directly. 64-bit machines only.
_NUMBERS: Final = {
    "x86_64": (116, 117, 119),
    "aarch64": (159, 147, 149),
    "riscv64": (159, 147, 149),
}.get(os.uname().machine)


def filter_calls(program: int) -> None:
    """Put the thread under a seccomp filter, given by the address of its `sock_fprog` (thread; cannot be undone)."""
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0))


def own_directory() -> None:
    """Give the thread a working directory and umask of its own (thread; cannot be undone)."""
    _check(_libc.unshare(_CLONE_FS))


def forbid_new_privileges() -> None:
    """From now on set-uid programs started by the thread gain nothing (thread; cannot be undone)."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def become_subreaper() -> None:
    """Adopt the orphans among this process's descendants: their end is seen here, not by init."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def assume_identity(uid: int, gid: int, groups: list[int]) -> None:
    """Act as another user, keeping the way back in the saved ids (thread; needs root).

    A program executed meanwhile has no way back: execution overwrites the saved ids.
    """
    _set_groups(groups)
    _set_ids(uid, gid)


def resume_root(groups: list[int]) -> None:
    """Undo `assume_identity` (thread)."""
    _set_ids(0, 0)
    _set_groups(groups)


def can_assume_identity() -> bool:
    """Whether `assume_identity` works here: run by root, on a machine whose call numbers are known."""
    return os.geteuid() == 0 and _NUMBERS is not None


def can_raise_limits() -> bool:
    """Whether a hard limit, once lowered, can be raised again; root can't in every container nor user namespace."""
    if not capabilities.is_of_machine():
        return False
    with open("/proc/thread-self/status", "rb") as lines:
        effective = next(line for line in lines if line.startswith(b"CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)


def death_signal() -> int:
    """Return the signal that this thread gets when its parent dies; 0 for none."""
    number = ctypes.c_int()
    _check(_libc.prctl(_PR_GET_PDEATHSIG, ctypes.addressof(number), 0, 0, 0))
    return number.value


def set_death_signal(number: int) -> None:
    """Have a signal sent to this thread when its parent dies (thread)."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0))


def signal_descriptor(signals: set[int]) -> int:
    """Return a descriptor that becomes readable when one of these (blocked) signals arrives."""
    mask = bytearray(128)  # sigset_t of glibc and musl
    for signum in signals:
        mask[(signum - 1) // 8] |= 1 << ((signum - 1) % 8)
    buffer = (ctypes.c_char * len(mask)).from_buffer(mask)
    return _check(_libc.signalfd(-1, ctypes.byref(buffer), _SFD_FLAGS))


def ignore_signal(signum: int) -> None:
    """Ignore a signal. Python's own function works in the first thread only."""
    _libc.signal(signum, _SIG_IGN)


def default_signal(signum: int) -> None:
    """Set a signal's action to the default. Python's own function works in the first thread only."""
    _libc.signal(signum, _SIG_DFL)


def unshare(flags: int) -> None:
    """Leave namespaces; for CLONE_NEWPID the thread's next children go into a new one (thread)."""
    _check(_libc.unshare(flags))


def enter_namespace(descriptor: int, flag: int) -> None:
    """Enter a namespace; for CLONE_NEWPID only the thread's next children go into it (thread)."""
    _check(_libc.setns(descriptor, flag))


def call(number: int, first: int, second: int) -> int:
    """Make any kernel call of two arguments that are numbers or addresses; the interpreter lock is kept meanwhile."""
    return _check(_libc.syscall(number, first, second, 0, 0))


def readable_within(descriptor: int, seconds: float) -> bool:
    """Wait until the descriptor can be read, or has been closed at the other end; tell whether it was in time.

    Not by `select`, which refuses descriptors from 1024 on: a busy supervisor has more.
    """
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(int(seconds * 1000)))


def reserve(descriptor: int, size_bytes: int) -> None:
    """Reserve disk for the first bytes of a file without changing its length."""
    _check(_patient_libc.fallocate(descriptor, _FALLOC_KEEP_SIZE, 0, size_bytes))


def _set_groups(groups: list[int]) -> None:
    array = (ctypes.c_uint32 * len(groups))(*groups)
    _check(_libc.syscall(_numbers()[0], len(groups), ctypes.addressof(array), 0, 0))


def _set_ids(uid: int, gid: int) -> None:
    """Real and effective ids; the saved ones stay root. The group goes first: it needs privilege."""
    _, set_uid, set_gid = _numbers()
    if uid == 0:
        _check(_libc.syscall(set_uid, 0, 0, 0, 0))
    _check(_libc.syscall(set_gid, gid, gid, 0, 0))
    if uid != 0:
        _check(_libc.syscall(set_uid, uid, uid, 0, 0))


def _numbers() -> tuple[int, int, int]:
    if _NUMBERS is None:
        raise OSError(errno.ENOSYS, f"no call numbers known for {os.uname().machine}")
    return _NUMBERS


def _check(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
