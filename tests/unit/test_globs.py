"""Globs mean what they say, as `fnmatch` has it within a name, and take no longer the more there is in them."""

from __future__ import annotations

import fnmatch
import random
import re
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.wire import OutputSpec
from workers.files.globs import GlobError, OutputPattern, file_names

LETTERS: Final = st.text("ab/.[]!-^*?", max_size=12)
PATHS: Final = st.text("ab/.]!-^", min_size=1, max_size=12)


def pattern(glob: str | None, name: str = "data") -> OutputPattern:
    return OutputPattern(OutputSpec(name=name, type="files", glob=glob))


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        (None, "data", True),
        (None, "data.tar.gz", True),
        (None, "database", False),
        (None, "sub/data", False),
        ("*.txt", "a.txt", True),
        ("*.txt", "sub/a.txt", False),
        ("**/*.txt", "a.txt", True),
        ("**/*.txt", "x/y/a.txt", True),
        ("**/*.txt", "x//a.txt", False),
        ("x/**", "x/y/z", True),
        ("**", "x/y/z", True),
        ("**/**/a", "a", True),
        ("a**b", "a/x/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].t", "b.t", True),
        ("[!ab].t", "b.t", False),
        ("[!ab]", "/", False),
        ("[]a]", "]", True),
        ("[a-c]", "b", True),
        ("[a-]", "-", True),
        ("[^a]", "^", True),
        ("[a", "[a", True),
        ("a.b", "axb", False),
        ("../*", "x", False),
        ("*", "results.json", False),
        ("results.json", "results.json", True),
        ("./x", "x", True),
    ],
)
def test_a_glob_means(glob: str | None, path: str, matches: bool) -> None:
    assert pattern(glob).matches(path) is matches


@given(LETTERS.filter(lambda glob: glob and "**" not in glob and "/" not in glob), PATHS)
def test_within_a_name_a_glob_means_what_fnmatch_makes_of_it(glob: str, path: str) -> None:
    try:
        found = pattern(glob).matches(path)
    except GlobError:
        return
    assert found is ("/" not in path and re.match(fnmatch.translate(glob), path) is not None)


@given(st.lists(st.sampled_from(["**/", "**", "*", "?", "a", "b", "/"]), min_size=1, max_size=8).map("".join), PATHS)
def test_across_folders_a_glob_means_what_its_regular_expression_does(glob: str, path: str) -> None:
    parts = re.findall(r"\*\*/|\*\*+|.", glob)
    words = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    wanted = "".join(
        ".*" if part.startswith("**") and part != "**/" else words.get(part, re.escape(part)) for part in parts
    )
    assert pattern(glob).matches(path) is (re.fullmatch(wanted, path) is not None)


@pytest.mark.parametrize(
    "glob", ["*a" * 60 + "b", "**/" * 60 + "b", "**a" * 60 + "b", "[ab]*" * 60 + "c", "?" * 250 + "*" * 200]
)
def test_no_glob_is_slow_whatever_the_path(glob: str) -> None:
    """A matcher that goes back would take longer than the age of the world."""
    meant, began = pattern(glob), time.monotonic()
    for path in ("a" * 4000, "a/" * 2000, "a" * 4000 + "/", "".join(random.Random(1).choices("ab/", k=4000))):
        meant.matches(path)
    assert time.monotonic() - began < 60


def test_a_range_with_nothing_in_it_is_an_error() -> None:
    with pytest.raises(GlobError, match="z-a"):
        pattern("[z-a]")


@pytest.mark.parametrize(("glob", "depth"), [(None, 0), ("*", 0), ("a/*/b", 2), ("a/**", None), ("**/x", None)])
def test_it_is_known_how_deep_its_files_may_lie(glob: str | None, depth: int | None) -> None:
    assert pattern(glob).depth == depth


def test_names_lose_their_folders_but_stay_different() -> None:
    names = file_names(["a/b", "a_b", "new\nline", "x" * 300 + "/1", "x" * 300 + "/2", "bad\udcff"])
    assert names[:3] == ["a_b", "2_a_b", "new_line"]
    assert len(set(names)) == 6
    assert all(0 < len(name.encode()) <= 255 for name in names)


def test_many_paths_of_one_name_get_as_many_names_without_much_ado() -> None:
    names = file_names(["x" * 300 + f"/{number}" for number in range(20_000)])
    assert len(set(names)) == 20_000
