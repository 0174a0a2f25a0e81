"""Globs: which files an output means, and the names that they get outside of their folders.

`*` and `?` stand for characters within a name, `**` crosses folders, `[...]` is one of these characters.

A glob is matched without going back: all its positions that the path so far can lead to are kept at once, as the bits
of a number (the simulation of a nondeterministic automaton, after K. Thompson, "Regular Expression Search Algorithm",
1968). So the time grows with the path and with the glob, whatever is in them; a regular expression may need for ever.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence

from scheduler.wire import OutputSpec

_NAME_BYTES = 255
_ODD = re.compile(r"[/\x00-\x1f\x7f-\x9f]")
_MANIFESTS = frozenset({"results.json", "results_manifest.json"})
_STAR, _ANYTHING, _FOLDERS, _QUESTION = "*", "**", "**/", "?"


class GlobError(ValueError):
    """A glob that means nothing; str() is the sentence for people."""


class OutputPattern:
    """The paths, relative to the output directory, of the files that one output means.

    Without a glob an output is the file of its own name, with any ending. The program's manifest is not an output
    unless the glob names it in full.
    """

    def __init__(self, output: OutputSpec) -> None:
        """Raises GlobError for a glob with a senseless range."""
        glob = None if output.glob is None else output.glob.removeprefix("./")
        self._name = output.name if glob is None else None
        self._matches = _Glob(glob).matches if glob is not None else self._is_named
        self._takes_manifest = output.glob in _MANIFESTS
        self.depth: int | None = 0 if glob is None else None if "**" in glob else glob.count("/")
        """How many folders deep its files may lie at most; None if there is no limit."""

    def matches(self, path: str) -> bool:
        """Return whether the file at this path is meant."""
        return (path not in _MANIFESTS or self._takes_manifest) and self._matches(path)

    def _is_named(self, path: str) -> bool:
        return "/" not in path and (path == self._name or path.startswith(f"{self._name}."))


class _Glob:
    """A glob as an automaton: bit `i` of a state says that the first `i` parts of the glob are matched."""

    def __init__(self, glob: str) -> None:
        self._singles: list[tuple[int, Callable[[str], bool]]] = []
        self._accepts: dict[str, int] = {}
        self._within = self._across = self._names = self._skips = self._folders = 0
        at = bit = 0
        while at < len(glob):
            part, at = _next_part(glob, at)
            bit = self._add(part, bit)
        self._end = 1 << bit
        self._start = self._closed(1)

    def matches(self, path: str) -> bool:
        """Return whether the whole path is meant."""
        state = self._start
        for letter in path:
            state = self._after(state, letter)
            if not state:
                return False
        return bool(state & self._end)

    def _add(self, part: str | Callable[[str], bool], bit: int) -> int:
        """Add a part at a bit; return the bit of the one that follows."""
        if callable(part):
            self._singles.append((1 << bit, part))
        elif part == _FOLDERS:  # two states: before a folder's name, and within it
            self._folders |= 1 << bit
            self._names |= 1 << bit + 1
            return bit + 2
        else:
            self._skips |= 1 << bit
            self._within |= 1 << bit
            self._across |= (1 << bit) if part == _ANYTHING else 0
        return bit + 1

    def _after(self, state: int, letter: str) -> int:
        accepts = self._accepts.get(letter)
        if accepts is None:
            accepts = self._accepts[letter] = sum(bit for bit, takes in self._singles if takes(letter))
        after = (state & accepts) << 1
        if letter == "/":
            after |= (state & self._across) | (state & self._names) >> 1
        else:
            after |= state & (self._within | self._names) | (state & self._folders) << 1
        # What is skipped may itself be followed by what can be skipped: few steps, as stars in a row are one.
        return self._closed(after) if after & (self._skips | self._folders) else after

    def _closed(self, state: int) -> int:
        """Return the state with all that can be reached without a letter."""
        before = -1
        while state != before:
            before = state
            state |= (state & self._skips) << 1 | (state & self._folders) << 2
        return state


def file_names(paths: Sequence[str]) -> list[str]:
    """Return a name for each path, in order: without slashes and control characters, each only once, none too long.

    The same paths always give the same names, so that uploads may be repeated.
    """
    names: dict[str, None] = {}
    used: dict[str, int] = {}
    for path in paths:
        plain = _ODD.sub("_", os.fsencode(path).decode("utf-8", "replace"))
        first = _shortened(plain)
        if first in names:
            numbers = itertools.count(used.get(first, 1) + 1)
            used[first], name = next(
                (number, name) for number in numbers if (name := _shortened(f"{number}_{plain}")) not in names
            )
            names[name] = None
        else:
            names[first] = None
    return list(names)


def _shortened(name: str) -> str:
    """Return the name, cut at its end to the length that a file system takes."""
    return name if len(name.encode()) <= _NAME_BYTES else name.encode()[:_NAME_BYTES].decode("utf-8", "ignore")


def _next_part(glob: str, at: int) -> tuple[str | Callable[[str], bool], int]:
    """Return the next part of a glob, and where the one after it begins."""
    letter = glob[at]
    if letter == "*":
        stars = len(glob[at:]) - len(glob[at:].lstrip("*"))
        if glob.startswith(_FOLDERS, at):
            return _FOLDERS, at + len(_FOLDERS)
        if stars == 1:
            return _STAR, at + 1
        return _ANYTHING, at + stars
    if letter == _QUESTION:
        return _is_no_slash, at + 1
    end = _end_of_class(glob, at) if letter == "[" else -1
    if end > 0:
        return _class(glob[at + 1 : end], glob), end + 1
    return letter.__eq__, at + 1


def _is_no_slash(letter: str) -> bool:
    return letter != "/"


def _end_of_class(glob: str, at: int) -> int:
    """Return where the class of characters ends that begins at `at`; -1 if it does not. A bracket may stand first in it."""
    first = at + 1 + glob.startswith("!", at + 1)
    return glob.find("]", first + 1)


def _class(inside: str, glob: str) -> Callable[[str], bool]:
    negated = inside.startswith("!")
    letters, ranges, at = set[str](), list[tuple[str, str]](), int(negated)
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            low, high = inside[at], inside[at + 2]
            if low > high:
                raise GlobError(f"the glob {glob[:100]!r} has the range {low}-{high}, in which there is nothing")
            ranges.append((low, high))
            at += 3
        else:
            letters.add(inside[at])
            at += 1

    def takes(letter: str) -> bool:
        inside_it = letter in letters or any(low <= letter <= high for low, high in ranges)
        return letter != "/" and inside_it is not negated

    return takes
