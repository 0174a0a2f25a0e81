"""Which process is which: a process id alone is not an identity, because ids are used again.

A process is known by its id together with its start time and the boot it started in. A zombie is not a running process.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

# Fields of /proc/<pid>/stat after the command name, which is in parentheses and may hold anything.
STATE_FIELD, PARENT_FIELD, START_FIELD = 0, 1, 19
GONE = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, never to be confused with another that gets its id later."""

    pid: int
    started: int  # clock ticks since boot
    boot: str

    def running(self) -> bool:
        """Tell whether this very process still runs; a zombie does not."""
        return of(self.pid) == self

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


def of(pid: int) -> Identity | None:
    """Return who has this id now, or None if nobody has or only a zombie."""
    fields = _stat(pid)
    if fields is None or fields[STATE_FIELD] in GONE:
        return None
    return Identity(pid, int(fields[START_FIELD]), _boot())


def parse(text: str) -> Identity | None:
    """Read what `Identity.text` wrote; None for anything else."""
    try:
        pid, started, boot = text.split()
        return Identity(int(pid), int(started), boot)
    except ValueError:
        return None


def children_of(parent: int) -> list[int]:
    """Return the ids of the direct children, zombies included, in no particular order."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and int(fields[PARENT_FIELD]) == parent:
                found.append(int(entry.name))
    return found


def descendants_of(parent: int, *, without: Collection[int] = ()) -> list[Identity]:
    """Return everything running below `parent`, nearest first, `without` these and what is below them."""
    found: list[Identity] = []
    waiting = [parent]
    while waiting:
        for pid in children_of(waiting.pop(0)):
            if pid in without:
                continue
            waiting.append(pid)
            who = of(pid)
            if who is not None:
                found.append(who)
    return found


def marked(marker: str) -> list[Identity]:
    """Return the running processes whose environment holds this `NAME=value`, ourselves excluded."""
    needle = marker.encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone meanwhile, or another user's
        who = of(int(entry.name)) if needle in environment else None
        if who is not None:
            found.append(who)
    return found


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
