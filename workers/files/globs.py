"""Globs: which files an output means, and the names that they get outside of their folders.

`*` and `?` stand for characters within a name, `**` crosses folders, `[...]` is one of these characters.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence

from scheduler.wire import OutputSpec

_NAME_BYTES = 255
_ODD = re.compile(r"[/\x00-\x1f\x7f-\x9f]")
_MANIFEST = "results.json"


def matcher(output: OutputSpec) -> Callable[[str], bool]:
    """Return a test for paths relative to the output directory.

    Without a glob an output is the file of its own name, with any ending. The program's manifest is not an output
    unless the glob names it in full. Raises re.error for a glob with a senseless range.
    """
    if output.glob is None:
        wanted = re.compile(re.escape(output.name) + r"(\.[^/]*)?\Z")
    else:
        wanted = re.compile(_translate(output.glob.removeprefix("./")))
    literal = output.glob == _MANIFEST
    return lambda path: wanted.match(path) is not None and (path != _MANIFEST or literal)


def file_names(paths: Sequence[str]) -> list[str]:
    """Return a name for each path, in order: without slashes and control characters, each only once, none too long.

    The same paths always give the same names, so that uploads may be repeated.
    """
    names: dict[str, None] = {}
    for path in paths:
        plain = _ODD.sub("_", os.fsencode(path).decode("utf-8", "replace"))
        numbered = (f"{number}_{plain}" if number > 1 else plain for number in itertools.count(1))
        names[next(name for name in map(_shortened, numbered) if name not in names)] = None
    return list(names)


def _shortened(name: str) -> str:
    """Return the name, cut at its end to the length that a file system takes."""
    return name if len(name.encode()) <= _NAME_BYTES else name.encode()[:_NAME_BYTES].decode("utf-8", "ignore")


def _translate(glob: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at):
            parts.append("(?:[^/]+/)*")
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        else:
            part, at = _one(glob, at)
            parts.append(part)
    return "".join(parts) + r"\Z"


def _one(glob: str, at: int) -> tuple[str, int]:
    """Return the regular expression of the next piece of a name, and where the one after it begins."""
    letter = glob[at]
    if letter == "*":
        return "[^/]*", at + 1
    if letter == "?":
        return "[^/]", at + 1
    end = glob.find("]", at + 2)
    if letter == "[" and end > 0:
        inside = glob[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[").replace("/", "")
        negated = inside.startswith("!")
        return f"(?!/)[{'^' if negated else ''}{inside[negated:]}]", end + 1
    return re.escape(letter), at + 1
