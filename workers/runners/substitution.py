"""Substitution: `${name}` in an argument of a command becomes the value, in one pass.

A value is not searched again, so a value that contains `${...}`, quotes or `$(...)` arrives unchanged. No shell is
involved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import orjson

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


class UnknownValue(ValueError):
    """A command names a value that the job does not have; str() is the sentence for people."""


def fill(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Return the arguments with every `${name}` replaced; each stays one argument.

    `$${` stands for a literal `${`. Text that only looks similar (`$name`, `${a b}`, an unclosed brace) is left alone.
    Raises UnknownValue.
    """
    return [_fill_one(argument, values) if "${" in argument else argument for argument in arguments]


def text(value: object) -> str:
    """Return a property's value as a program gets it: text unchanged, true or false, numbers as JSON writes them."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return orjson.dumps(value).decode()


def _fill_one(argument: str, values: Mapping[str, str]) -> str:
    parts: list[str] = []
    at = 0
    for found in _REFERENCE.finditer(argument):
        start, name = found.start(), found.group(1)
        parts.append(argument[at:start])
        at = found.end()
        if start > 0 and argument[start - 1] == "$":
            parts[-1] = parts[-1][:-1]
            parts.append(found.group(0))
        elif _NAME.match(name) is None:
            parts.append(found.group(0))
        elif name in values:
            parts.append(values[name])
        else:
            known = ", ".join(sorted(values))
            raise UnknownValue(f"The command asks for ${{{name}}}, which this job does not have (it has: {known}).")
    parts.append(argument[at:])
    return "".join(parts)
