"""Waiting with open eyes: for a stop signal, for the end of a child, or for time to pass, in one thread.

The signals are blocked and fetched, so none of them ever interrupts a step half-way. We also adopt the orphans among
our descendants (PR_SET_CHILD_SUBREAPER): what a role started and left behind can be found, and ended, at the end.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass, field
from typing import Self

from api.embedded import identity

PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

_libc = ctypes.CDLL(None, use_errno=True)


class Stopped(Exception):
    """Somebody wants us to stop; `signal` says how it was said."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


@dataclass(slots=True)
class Watch:
    """Within its `with`, stop signals arrive only by its methods, as Stopped."""

    _stops: frozenset[signal.Signals] = STOP_SIGNALS
    _before: set[int | signal.Signals] = field(default_factory=set)

    def __enter__(self) -> Self:
        # Whoever starts us with a signal ignored (nohup, a shell's background job) means it.
        self._stops = frozenset(s for s in STOP_SIGNALS if signal.getsignal(s) is not signal.SIG_IGN)
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP_SIGNALS, signal.SIGCHLD})
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        while signal.sigtimedwait({*STOP_SIGNALS, signal.SIGCHLD}, 0):
            continue  # asked to stop once more while stopping
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def pause(self, seconds: float) -> None:
        """Wait so long. Raises Stopped as soon as somebody wants us to stop."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._fetch(self._stops, left)

    def until_something(self, seconds: float) -> None:
        """Wait so long, or until a child ends. Raises Stopped as soon as somebody wants us to stop."""
        self._fetch(self._stops | {signal.SIGCHLD}, seconds)

    @staticmethod
    def _fetch(wanted: frozenset[signal.Signals], seconds: float) -> None:
        got = signal.sigtimedwait(wanted, seconds)
        if got is not None and got.si_signo in STOP_SIGNALS:
            raise Stopped(got.si_signo)


def reap_orphans(known: set[int]) -> None:
    """Collect the exit codes of adopted processes, so that they do not stay as zombies; `known` children are left."""
    for pid in identity.children_of(os.getpid()):
        if pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
