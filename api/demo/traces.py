"""Which processes of this machine belong to something, by a mark that only that thing carries.

A mark is looked for in the command line and in the environment a process was started with: children inherit both of
their own accord, also those that leave their parent, their group and their session.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

COMMAND_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Trace:
    """One running process."""

    pid: int
    command: str


def naming(mark: str) -> list[Trace]:
    """Return the running processes that carry the mark, without ourselves and those we descend from."""
    return carrying([mark])[mark]


def carrying(marks: list[str]) -> dict[str, list[Trace]]:
    """Return, for each mark, the running processes that carry it; zombies run no more."""
    found: dict[str, list[Trace]] = {mark: [] for mark in marks}
    spared = _ourselves()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in spared:
            continue
        content = command = b""
        try:
            content = command = (entry / "cmdline").read_bytes()
            content += (entry / "environ").read_bytes()
        except PermissionError:
            pass  # another user's, or it keeps its environment to itself
        except OSError:
            continue  # gone meanwhile
        if not content:
            continue  # a zombie, or a thread of the kernel
        text = command.replace(b"\0", b" ").decode(errors="replace").strip()[:COMMAND_LENGTH]
        for mark in marks:
            if mark.encode() in content:
                found[mark].append(Trace(int(entry.name), text))
    return found


def _ourselves() -> set[int]:
    """Return our id and those of our forebears: a shell may well name the mark in its own command line."""
    spared, pid = set(), os.getpid()
    while pid > 1:
        spared.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            break
    return spared
