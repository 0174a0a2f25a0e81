"""Our own regular expressions: whatever is sent, the time of each grows with its length, and not with the square of it.

Every expression of the packages is tried, on texts that are made from it: a beginning that fits, a piece that may be repeated, thousands of
times, and an end that does not fit. One that goes back over what it has read takes seconds for what others read in milliseconds, and
all other threads of the process wait for it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import random
import re
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import api
import ganger
import scheduler
import workers

# The tree of an expression has no public face.
_parser, words = (importlib.import_module(f"re.{name}") for name in ("_parser", "_constants"))

METHODS = {"match", "search", "fullmatch", "finditer", "findall", "sub", "split"}
NOT_OF_INPUT = {("api.http.telemetry", "_PARAMETER"), ("api.http.routing", "PARAMETER")}
"""Read our own texts alone."""

COUNTS = (8, 18, 300, 16_000)
MOST_S = 0.15
"""Reading so many pieces takes a millisecond; going back over them, seconds. Few come first: some double their time with each."""


def ours() -> Iterator[tuple[str, str, re.Pattern[Any], set[str]]]:
    """Yield module, name, expression and the methods that are called of each expression of the packages."""
    for package in (scheduler, workers, api, ganger):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" in found.name or ".migrations." in found.name:
                continue
            module = importlib.import_module(found.name)
            named = {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}
            called = methods(module) if named else {}
            for name, pattern in named.items():
                if (found.name, name) not in NOT_OF_INPUT:
                    yield found.name, name, pattern, called.get(name, {"match"})


def methods(module: ModuleType) -> dict[str, set[str]]:
    called: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
            called.setdefault(node.value.id, set()).add(node.attr)
    return called


class Fitting:
    """Texts that fit the parts of an expression, by chance."""

    def __init__(self, pattern: re.Pattern[Any], chance: random.Random) -> None:
        self.chance = chance
        source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        self.tree = list(_parser.parse(source, pattern.flags & ~re.UNICODE))
        self.fitting: dict[str, list[str]] = {}
        self.letters = [letter for letter in source if letter not in "()[]|?*+^$.{}"] + ['"', "\\", " ", "9", "a"]

    def attacks(self) -> Iterator[tuple[str, str]]:
        """Yield texts, each with the one of half as many pieces."""
        whole = self._text(self.tree)
        pieces = [("", whole, ""), ("", whole[:-1], "")]
        for before, body in self._repeated(self.tree, ""):
            for _ in range(3):
                piece, last = self._text(body), self.chance.choice(self.letters)
                pieces += [(before, piece, "\x00"), (before, piece, last)]
        for count in COUNTS:
            for before, piece, end in pieces:
                times = count // max(1, len(piece) // 4)
                yield before + piece * times + end, before + piece * (times // 2) + end

    def _repeated(self, tree: list[Any], before: str) -> Iterator[tuple[str, list[Any]]]:
        for word, value in tree:
            if word in {words.MAX_REPEAT, words.MIN_REPEAT, words.POSSESSIVE_REPEAT}:
                if value[1] > 100:
                    yield before, list(value[2])
                yield from self._repeated(list(value[2]), before)
            elif word is words.SUBPATTERN:
                yield from self._repeated(list(value[3]), before)
            elif word is words.BRANCH:
                for branch in value[1]:
                    yield from self._repeated(list(branch), before)
            before += self._text([(word, value)])

    def _text(self, tree: list[Any]) -> str:
        return "".join(self._one(word, value) for word, value in tree)

    def _one(self, word: Any, value: Any) -> str:
        if word is words.LITERAL:
            return chr(int(value))
        if word in {words.NOT_LITERAL, words.ANY, words.IN}:
            key = repr((word, value))
            if key not in self.fitting:
                self.fitting[key] = self._that_fit(word, value) or [self._first(value)]
            return str(self.chance.choice(self.fitting[key]))
        if word in {words.MAX_REPEAT, words.MIN_REPEAT, words.POSSESSIVE_REPEAT}:
            return str(self._text(list(value[2]))) * int(min(max(value[0], self.chance.randint(0, 2)), value[1]))
        if word in {words.SUBPATTERN, words.ATOMIC_GROUP}:
            return self._text(list(value[3] if word is words.SUBPATTERN else value))
        if word is words.BRANCH:
            return self._text(list(self.chance.choice(value[1])))
        return ""

    def _that_fit(self, word: Any, value: Any) -> list[str]:
        tree = _parser.parse("x", 0)
        tree.data = [(word, value)]
        one = re._compiler.compile(tree)  # type: ignore[attr-defined]
        return [letter for letter in self.letters if one.match(letter)]

    def _first(self, value: Any) -> str:
        for word, inside in value:
            if word is words.RANGE:
                return chr(int(inside[0]))
            if word is words.LITERAL:
                return chr(int(inside))
        return "a"


def took(pattern: re.Pattern[Any], method: str, text: str) -> float:
    given: Any = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
    began = time.process_time()
    if method == "sub":
        pattern.sub(given[:0], given)
    elif method == "finditer":
        list(pattern.finditer(given))
    else:
        getattr(pattern, method)(given)
    return time.process_time() - began


def slow(pattern: re.Pattern[Any], called: set[str]) -> str | None:
    """Return a text that takes too long, cut; None where none of those that were tried does."""
    for text, half in Fitting(pattern, random.Random(7)).attacks():
        for method in called:
            if took(pattern, method, text) > MOST_S and took(pattern, method, text) > MOST_S:
                whole = min(took(pattern, method, text) for _ in range(2))
                if whole > 2.8 * min(took(pattern, method, half) for _ in range(3)):  # four times with the square
                    return text[:60]
    return None


def test_every_expression_of_ours_reads_a_hostile_text_in_one_pass() -> None:
    found = list(ours())
    assert len(found) > 80
    assert [(*place, one) for *place, pattern, called in found if (one := slow(pattern, called)) is not None] == []


def test_an_expression_that_goes_back_is_found() -> None:
    assert slow(re.compile(r"\s+AND\s+"), {"split"}) is not None
