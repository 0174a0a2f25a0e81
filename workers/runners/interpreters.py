"""Interpreters: the Pythons that jobs may choose on this node, by name or by path. Nobody but the node's settings adds one.

A job type names an interpreter as a text. If the node took any path, a job could leave a program in a shared place and have
the next job, of another project, run it. So the node makes a list at its start, of what only its administrator can have
put there, and a text that is not in the list starts nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from workers.paths import PATH

_NAME: Final = re.compile(r"python(3(\.\d{1,2})?)?\Z")
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


class UnknownInterpreter(Exception):
    """The text names no interpreter of this node; str() is the sentence for people."""


def find(given: Iterable[str] = ()) -> dict[str, str]:
    """Return the interpreters of this machine: paths, by every text that may name them.

    These are the ones of the settings (`given`, absolute paths, taken as they are), those in the system's own folders, and
    the one that runs the agent, if it belongs to root or the agent. A name goes to the first that has it.
    """
    found: dict[str, str] = {}
    for path in (*given, *_of_system(), *_own()):
        for text in (path, os.path.basename(path)):  # noqa: PTH119
            found.setdefault(text, path)
    return found


def choose(known: Mapping[str, str], wanted: str) -> str:
    """Return the path of the interpreter that a job type names. Raises UnknownInterpreter."""
    path = known.get(wanted)
    if path is None:
        names = ", ".join(sorted(known)) or "none"
        raise UnknownInterpreter(
            f"This node has no interpreter {wanted[:100]!r} for jobs; it has {names}. "
            "Others are named in the node's settings (ganger worker --interpreter)."
        )
    return path


def is_trusted(path: str, owners: Iterable[int] = (_ROOT,)) -> bool:
    """Return whether only root (or `owners`) can change this program, and every folder on the way to it."""
    trusted = {_ROOT, *owners}
    with contextlib.suppress(OSError, RuntimeError):
        real = Path(path).resolve(strict=True)
        if not real.is_file() or not os.access(real, os.X_OK):
            return False
        steps = [*Path(path).absolute().parents, real, *real.parents]
        return all(_only_of(step, trusted) for step in steps)
    return False


def _only_of(step: Path, trusted: set[int]) -> bool:
    found = step.stat()
    return found.st_uid in trusted and not found.st_mode & _OTHERS_MAY_WRITE


def _of_system() -> Iterator[str]:
    for folder in PATH.split(":"):
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(folder), key=len):  # noqa: PTH208
                if _NAME.match(name) and is_trusted(f"{folder}/{name}"):
                    yield f"{folder}/{name}"


def _own() -> Iterator[str]:
    """Yield the interpreter beneath the agent's own environment: that environment itself is none for jobs."""
    for name in (f"python3.{sys.version_info.minor}", "python3"):
        path = f"{sys.base_exec_prefix}/bin/{name}"
        if is_trusted(path, {os.geteuid()}) and (os.geteuid() != 0 or _is_reachable(path)):
            yield path


def _is_reachable(path: str) -> bool:
    """Return whether every user can get to it."""
    return all(
        step.stat().st_mode & stat.S_IXOTH for step in (*Path(path).absolute().parents, *Path(path).resolve().parents)
    )
