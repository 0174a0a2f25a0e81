"""Words: public classes are named with the glossary's, and no class name stands for two things.

The glossary is the docstring of `scheduler/__init__.py`. A class name needs one word of it at least; a word counts in
all its forms (`Canceled` belongs to cancel, `Submitted` to submission). Names of HTTP's own refusals (`NotFound`,
`Conflict`) are words of the field, too.

The Python client is a world of its own: whoever imports `ganger` never sees the server's classes, and both may call
the same thing by the same name, the client's record `Node` and the scheduler's. So names are compared within `sdk/`
and within the server, not between the two.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import scheduler
from tests.house.source import PRODUCT, python_files, tree_of

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*")
ENTRY = re.compile(r"^    (?P<terms>[a-z][a-z ,]*?)(?:  +|\n {21})(?P<meaning>\S.*)$", re.MULTILINE)
SECOND_TERM = re.compile(r"; (?!short: )([a-z]+(?: [a-z]+)?(?:, [a-z]+)*): ")
SHORT_TERM = re.compile(r"; short: ([a-z]+)$", re.MULTILINE)
ENTRIES_MAX = 140
HTTP_NAMES = {status.name.replace("_", "").lower() for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}
ENDINGS = (
    *("ations", "ation", "ments", "ment", "ions", "ion", "ings", "ing", "ships", "ship", "als", "al"),
    *("ers", "er", "ors", "or", "ed", "s", "e"),
)
"""The endings that a word loses before it is compared, one after the other, the longest first."""
IRREGULAR = {
    "explanation": "explain",
    "registration": "register",
    "submission": "submit",
    "withdrawn": "withdraw",
    "queries": "query",
    "entries": "entry",
    "policies": "policy",
    "timed": "timeout",
    "dependencies": "dependency",
}
STEM_LETTERS_MIN = 3


def test_public_classes_are_named_with_words_of_the_glossary() -> None:
    known = glossary()
    offences = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in classes()
        if not node.name.startswith("_") and node.name.lower() not in HTTP_NAMES and not stems_of(node.name) & known
    ]
    assert not offences


def test_no_class_name_stands_for_two_things() -> None:
    places: dict[tuple[bool, str], list[str]] = defaultdict(list)
    for path, node in classes():
        places[path.parts[0] == "sdk", node.name.lstrip("_")].append(f"{path}:{node.lineno}")
    assert not {name: found for (_, name), found in places.items() if len(found) > 1}


def test_the_glossary_says_each_word_once_and_stays_readable() -> None:
    terms = [term for found in ENTRY.finditer(scheduler.__doc__ or "") for term in found["terms"].split(", ")]
    assert len(set(terms)) == len(terms)
    assert len(ENTRY.findall(scheduler.__doc__ or "")) <= ENTRIES_MAX


def test_forms_of_a_word_are_one_word_and_others_are_not() -> None:
    assert len({stem(word) for word in ("cancel", "canceled")}) == 1
    assert len({stem(word) for word in ("submission", "submitted", "submit")}) == 1
    assert len({stem(word) for word in ("withdrawal", "withdrawn")}) == 1
    assert len({stem(word) for word in ("place", "placed", "placement", "placements")}) == 1
    assert len({stem(word) for word in ("note", "node", "no")}) == 3


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Yield every class of the product with its file."""
    for path in python_files(*PRODUCT):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                yield path, node


def glossary() -> set[str]:
    """Return the stems of all words that stand in terms of the glossary."""
    text = scheduler.__doc__ or ""
    terms = [found["terms"] for found in ENTRY.finditer(text)] + SECOND_TERM.findall(text) + SHORT_TERM.findall(text)
    return {stem(word) for term in terms for word in re.split(r"[ ,]+", term) if word}


def stems_of(name: str) -> set[str]:
    """Return the stems of the words of a class name."""
    return {stem(word.lower()) for word in WORD.findall(name)}


def stem(word: str) -> str:
    """Return a word without its endings, and without the letter that is doubled before one."""
    word = IRREGULAR.get(word, word)
    for ending in ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= STEM_LETTERS_MIN and not (ending == "s" and rest.endswith("s")):
            doubled = rest[-1] == rest[-2] and rest[-1] in "bdgmnprt" and ending[0] in "aeio"
            return stem(rest[:-1] if doubled else rest)
    return word
