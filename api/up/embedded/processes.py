"""The processes of this machine: which one has an id, which descend from one, which carry a mark.

A process id alone is no identity, because ids are used again. A process is known by its id together with its start time
and the boot it started in. A zombie is not a running process.

A mark is a text that only one installation or one job carries, in the command line or the environment that its processes
were started with. Children inherit both, also those that leave their parent, their group and their session.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

# Fields of /proc/<pid>/stat after the command name, which is in parentheses and may hold anything.
STATE_FIELD, PARENT_FIELD, START_FIELD = 0, 1, 19
GONE = frozenset("ZXx")
COMMAND_LENGTH = 80


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, never to be confused with another that gets its id later."""

    pid: int
    started: int  # clock ticks since boot
    boot: str

    def running(self) -> bool:
        """Tell whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self

    def signal(self, number: int) -> bool:
        """Send a signal if this very process still runs; tells whether it was sent."""
        if not self.running():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def text(self) -> str:
        """Return one line that `parse` reads back."""
        return f"{self.pid} {self.started} {self.boot}"


@dataclass(frozen=True, slots=True)
class MarkedProcess:
    """One running process that carries a mark, with the beginning of its command line."""

    pid: int
    command: str


def identify(pid: int) -> ProcessIdentity | None:
    """Return the process that has this id now; None if there is none, or only a zombie."""
    fields = _stat(pid)
    if fields is None or fields[STATE_FIELD] in GONE:
        return None
    return ProcessIdentity(pid, int(fields[START_FIELD]), _boot())


def parse(text: str) -> ProcessIdentity | None:
    """Read what `ProcessIdentity.text` wrote; None for anything else."""
    try:
        pid, started, boot = text.split()
        return ProcessIdentity(int(pid), int(started), boot)
    except ValueError:
        return None


def children_of(parent: int) -> list[int]:
    """Return the ids of the direct children, zombies included, in no particular order."""
    stats = ((pid, _stat(pid)) for pid in _all_ids())
    return [pid for pid, fields in stats if fields is not None and int(fields[PARENT_FIELD]) == parent]


def descendants_of(parent: int, *, without: Collection[int] = ()) -> list[ProcessIdentity]:
    """Return everything running below `parent`, nearest first, `without` these and what is below them."""
    found: list[ProcessIdentity] = []
    waiting = [parent]
    while waiting:
        for pid in children_of(waiting.pop(0)):
            if pid in without:
                continue
            waiting.append(pid)
            process = identify(pid)
            if process is not None:
                found.append(process)
    return found


def with_variable(marker: str) -> list[ProcessIdentity]:
    """Return the running processes whose environment holds this `NAME=value`, ourselves excluded."""
    needle = marker.encode()
    found = []
    for pid in _all_ids():
        if pid == os.getpid():
            continue
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile, or is another user's
        process = identify(pid) if needle in environment else None
        if process is not None:
            found.append(process)
    return found


def carrying(marks: Collection[str]) -> dict[str, list[MarkedProcess]]:
    """Return, for each mark, the running processes that carry it, without ourselves and those we descend from."""
    found: dict[str, list[MarkedProcess]] = {mark: [] for mark in marks}
    spared = _ourselves()
    for pid in _all_ids():
        command, environment = (b"", b"") if pid in spared else _words_of(pid)
        text = command.replace(b"\0", b" ").decode(errors="replace").strip()[:COMMAND_LENGTH]
        for mark in marks:
            if mark.encode() in command + environment:
                found[mark].append(MarkedProcess(pid, text))
    return found


def _all_ids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _words_of(pid: int) -> tuple[bytes, bytes]:
    """Return command line and environment of a process; empty for a zombie, a thread of the kernel, one that has ended."""
    command = b""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return command, Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return command, b""  # another user's, or it keeps its environment to itself
    except OSError:
        return b"", b""


def _ourselves() -> set[int]:
    """Return our id and those of the processes we descend from: a shell may well have the mark in its command line."""
    spared, pid = set(), os.getpid()
    while pid > 1:
        spared.add(pid)
        fields = _stat(pid)
        if fields is None:
            break
        pid = int(fields[PARENT_FIELD])
    return spared


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
