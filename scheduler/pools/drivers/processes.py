"""Processes of this machine that outlive the process which started them: identified by pid and start, found by a mark.

The start is counted from the boot, and the boot has an id: a time of day would move whenever the clock is set.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

import psutil


def launch(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> str:
    """Start a process in a session of its own, its output appended to the log; return its identity. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as sink:
        process = Popen(
            argv, stdin=DEVNULL, stdout=sink, stderr=sink, env=dict(environment), cwd="/", start_new_session=True
        )
    _children[process.pid] = process
    return f"{process.pid} {_start_of(process.pid)}"


def running(identity: str) -> bool:
    """Tell whether this very process still runs. A zombie does not run; a child of ours that has ended is reaped."""
    return _process(identity) is not None


def belonging(mark: str, folder: Path) -> list[psutil.Process]:
    """Return the running processes that have this `NAME=value` in their environment, or this folder among their arguments.

    A node's supervisor has an empty environment, but it has the folder among its arguments.
    """
    return [
        process
        for process in psutil.process_iter()
        if mark in _words(process.pid, "environ") or str(folder) in _words(process.pid, "cmdline")
    ]


def end(processes: Iterable[psutil.Process], within_s: float) -> None:
    """Send SIGTERM, wait for `within_s` seconds, and kill the processes that are left."""
    asked = list(processes)
    for number, wait_s in ((signal.SIGTERM, within_s), (signal.SIGKILL, _KILLED_WITHIN_S)):
        for process in asked:
            with suppress(psutil.Error):
                process.send_signal(number)
        _, asked = psutil.wait_procs(asked, timeout=wait_s)
    _reap()


def process_of(identity: str) -> psutil.Process | None:
    """Return the process, or None once it has ended."""
    return _process(identity)


_KILLED_WITHIN_S = 5.0
_children: dict[int, Popen[bytes]] = {}


def _process(identity: str) -> psutil.Process | None:
    _reap()
    try:
        pid, started = identity.split()
        process = psutil.Process(int(pid))
        if _start_of(process.pid) != started or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (ValueError, psutil.Error):
        return None
    return process


def _start_of(pid: int) -> str:
    """Return the clock ticks since the boot and the id of the boot as one word; `0` for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{fields[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    except (OSError, IndexError):
        return "0"


def _reap() -> None:
    """Reap our own children that have ended."""
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


def _words(pid: int, file: str) -> set[str]:
    if pid == os.getpid():
        return set()
    try:
        return set(Path(f"/proc/{pid}/{file}").read_bytes().decode(errors="replace").split("\0"))
    except OSError:
        return set()  # gone meanwhile, or another user's
