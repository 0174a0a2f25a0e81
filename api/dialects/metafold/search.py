r"""`sort` and `q`, the two parameters of every list.

    sort=size:-1                                     one field, 1 upwards or -1 downwards
    q=!filename:"*part*" AND state:success           terms with AND between them; `!` turns one round; `*` is any run of characters

A value is a bare word, or stands in quotes, where `\"` and `\\` are the characters themselves. Letters of both cases match each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from api.http.schema import nearest
from scheduler.errors import InvalidInput
from scheduler.store.searching import MAX_CONDITIONS, MAX_PATTERN, FieldOrder, TextCondition

_SORT = re.compile(r"(\w{1,32})(?::(-?1))?\Z", re.ASCII)
_TERM = re.compile(r'(?P<negated>!?)(?P<field>\w{1,32}):(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))', re.ASCII)
_AND = re.compile(r"\s+AND\s+")
_ESCAPED = re.compile(r'\\(["\\])')


def order(text: str | None, fields: Collection[str]) -> FieldOrder:
    """Return the order that `sort` asks for; without it the newest comes first. Raises InvalidInput."""
    if text is None:
        return FieldOrder()
    found = _SORT.match(text)
    if found is None:
        raise InvalidInput(
            "sort is a field, a colon, and 1 (upwards) or -1 (downwards), such as created:-1", field="sort"
        )
    if found[1] not in fields:
        raise InvalidInput(f"this list is not ordered by {found[1]!r}{_known(found[1], fields)}", field="sort")
    return FieldOrder(found[1], descending=found[2] == "-1")


def conditions(
    text: str | None, fields: Collection[str], words: Mapping[str, Mapping[str, str]] | None = None
) -> list[TextCondition]:
    """Return what `q` asks for. Raises InvalidInput that says where it breaks.

    `words` has the values of a field that has only a few, each with what stands for it inside.
    """
    terms: list[TextCondition] = []
    place, asked = 0, (text or "").strip()
    while place < len(asked):
        if terms:
            joint = _AND.match(asked, place)
            if joint is None:
                raise InvalidInput(f"AND stands between two terms: {_here(asked, place)}", field="q")
            place = joint.end()
        found = _TERM.match(asked, place)
        if found is None:
            raise InvalidInput(
                f'a term is a field, a colon and a word or a "quoted text": {_here(asked, place)}', field="q"
            )
        terms.append(_term(found, fields, words or {}))
        place = found.end()
        if len(terms) > MAX_CONDITIONS:
            raise InvalidInput(f"q has at most {MAX_CONDITIONS} terms", field="q")
    return terms


def _term(found: re.Match[str], fields: Collection[str], words: Mapping[str, Mapping[str, str]]) -> TextCondition:
    field, quoted = found["field"], found["quoted"]
    if field not in fields:
        raise InvalidInput(f"this list is not searched by {field!r}{_known(field, fields)}", field="q")
    pattern = found["word"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput(f"a value of q has at most {MAX_PATTERN} characters", field="q")
    negated = bool(found["negated"])
    if field not in words:
        return TextCondition(field, pattern, negated=negated)
    meant = tuple(inside for word, inside in words[field].items() if _is_like(word, pattern))
    return TextCondition(field, words=meant, negated=negated)


def _is_like(word: str, pattern: str) -> bool:
    """Tell whether a word is what a pattern with `*` describes. Each piece is taken where it comes first: nothing is tried twice."""
    first, *pieces = pattern.lower().split("*")
    word = word.lower()
    if not pieces:
        return word == first
    if not word.startswith(first):
        return False
    place = len(first)
    for piece in pieces[:-1]:
        found = word.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return word.endswith(pieces[-1]) and len(word) - len(pieces[-1]) >= place


def _known(name: str, fields: Collection[str]) -> str:
    hint = nearest.hint(name, tuple(fields))
    return hint or f"; it knows {', '.join(fields)}"


def _here(text: str, place: int) -> str:
    rest = text[place : place + 40].strip()
    return f"character {place + 1}, {rest!r}" if rest else "it ends too early"
