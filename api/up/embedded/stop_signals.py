"""Waits for a stop signal, for the end of a child, or for time to pass, whichever comes first.

Signals only leave a byte in a pipe, which is read while waiting: none of them ever interrupts a step half-way, and it
does not matter which thread of the process the kernel hands them to. We also adopt the orphans among our descendants
(PR_SET_CHILD_SUBREAPER): what a role started and left behind can be found, and ended, at the end.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

from api.up.embedded import processes

PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
# Signals that come while nobody waits; more of them than this at once say nothing new.
BATCH = 512

_libc = ctypes.CDLL(None, use_errno=True)
_Handler = Callable[[int, FrameType | None], Any] | int | None


class StopSignalReceived(Exception):
    """A signal asked this process to stop; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


@dataclass(slots=True)
class StopSignals:
    """Within its `with`, which only the main thread may enter, stop signals arrive only by its methods, as StopSignalReceived."""

    _before: dict[int, _Handler] = field(default_factory=dict)
    _pipe: tuple[int, int] = (-1, -1)
    _wakeup_before: int = -1

    def __enter__(self) -> Self:
        self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for number in [*STOP_SIGNALS, signal.SIGCHLD]:
            # Whoever starts us with a stop signal ignored (nohup, a shell's background job) means it.
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, _leave_a_byte)
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._wakeup_before)
        for end in self._pipe:
            os.close(end)

    def pause(self, seconds: float) -> None:
        """Wait so long. Raises StopSignalReceived as soon as somebody wants us to stop."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pause_until_event(left)

    def pause_until_event(self, seconds: float) -> None:
        """Wait so long, or until a child ends. Raises StopSignalReceived as soon as somebody wants us to stop."""
        waiting = select.poll()
        waiting.register(self._pipe[0], select.POLLIN)
        ready = waiting.poll(int(seconds * 1000) + 1)
        for number in os.read(self._pipe[0], BATCH) if ready else b"":
            if number in STOP_SIGNALS:
                raise StopSignalReceived(number)


def reap_orphans(known: set[int]) -> None:
    """Collect the exit codes of adopted processes, so that they do not stay as zombies; `known` children are left."""
    try:
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return  # nobody has ended: there is no need to look at all processes of the machine
    except ChildProcessError:
        return
    for pid in processes.children_of(os.getpid()):
        if pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _leave_a_byte(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: that there is a handler makes Python write the signal's number into the pipe."""
