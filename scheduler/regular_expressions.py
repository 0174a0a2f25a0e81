"""Regular expressions that people send, in an engine that never goes back, each with a bound on its work and its memory.

The time of such an engine is the length of the text times what the expression is compiled to: a hundred letters of expression may
need a quarter of a megabyte and take a tenth of a millisecond for each letter of the text, during which nothing else of the process
runs. So an expression is weighed before it is used, and a text is looked at in parts that are the shorter the heavier it is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping

import jsonschema_rs

from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput

MAX_KIB = 256
"""KiB that one expression may be compiled to: `.{0,200}` with some letters around it needs that."""

MAX_LENGTH = 10_000
"""Characters of an expression: it is read before it is known how large it will be."""

MAX_WORK = 4 * 1024 * 1024
"""Characters of a text times the KiB of an expression that are looked at without a break: a second, at the worst."""

MAX_MEMORY = 512 * 1024
"""Bytes that an expression may remember while it searches."""

MAX_FOLDED = 40
"""Classes of letters in an expression without regard to case: to find the other case of all letters there are takes 16 ms a class."""

TOO_LARGE = (
    "that pattern cannot be searched for: it has look-around or a back reference, which can take for ever, or "
    f"compiles to more than {MAX_KIB} KiB; search for a part of it"
)

_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, MAX_KIB)
_FOLDS = re.compile(r"\(\?[a-zA-Z]*i")


def weight(expression: str) -> int:
    """Return the KiB that an expression is compiled to, rounded up to a power of two. Raises InvalidInput for one that is not taken."""
    compiled(expression)
    return _STEPS[bisect_left(_STEPS, 1, key=lambda kib: int(_fits(expression, kib)))]


def folded(expression: str) -> int:
    """Return how many classes of letters an expression has whose other case is looked for."""
    return len(re.findall(r"\[|\\[pP]", expression)) if _FOLDS.search(expression) else 0


def compiled(expression: str, most_kib: int = MAX_KIB) -> jsonschema_rs.Validator:
    """Return what tells whether a text holds a match. Raises InvalidInput for what is none, or needs more."""
    if len(expression) > MAX_LENGTH:
        raise InvalidInput(f"a pattern has at most {MAX_LENGTH} characters")
    if folded(expression) > MAX_FOLDED:
        raise InvalidInput(f"a pattern without regard to case has at most {MAX_FOLDED} classes of letters")
    try:
        return validator({"type": "string", "pattern": expression}, most_kib, MAX_MEMORY)
    except (jsonschema_rs.ValidationError, ValueError):
        raise InvalidInput(TOO_LARGE) from None


def _fits(expression: str, kib: int) -> bool:
    try:
        compiled(expression, kib)
    except InvalidInput:
        return False
    return True


def validator(schema: Mapping[str, JsonValue], most_kib: int, memory: int) -> jsonschema_rs.Validator:
    """Return a schema ready for use, whose expressions are compiled to `most_kib` each and remember up to `memory` bytes each.

    Raises what the engine raises.
    """
    options = jsonschema_rs.RegexOptions(size_limit=most_kib * 1024, dfa_size_limit=memory)
    return jsonschema_rs.validator_for(dict(schema), offline=True, pattern_options=options, validate_formats=False)
