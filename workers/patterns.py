"""Which files an output's glob means: `*` and `?` within a name, `**` across folders, `[...]` one of these."""

from __future__ import annotations

import re
from collections.abc import Callable

from scheduler.wire import Output

_MANIFEST = "results.json"


def matcher(output: Output) -> Callable[[str], bool]:
    """Return a test for paths relative to the output directory.

    Without a glob an output is the file of its own name, whatever its ending. The program's manifest is nobody's
    output unless it is named in full. Raises re.error for a glob with a senseless range.
    """
    if output.glob is None:
        wanted = re.compile(re.escape(output.name) + r"(\.[^/]*)?\Z")
    else:
        wanted = re.compile(_translate(output.glob.removeprefix("./")))
    literal = output.glob == _MANIFEST
    return lambda path: wanted.match(path) is not None and (path != _MANIFEST or literal)


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
