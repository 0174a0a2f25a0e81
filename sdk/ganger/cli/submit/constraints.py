"""Constraints and preferences on labels of nodes, as people write them: `zone=a`, `gpus>2`, `!spot`, `disk=ssd*5`."""

from __future__ import annotations

import re
from math import isfinite
from typing import NotRequired, TypedDict

from ganger.errors import UsageError

MOST_WEIGHT = 1000
"""As in the API."""

_CONSTRAINT = re.compile(r"(?P<label>[A-Za-z0-9][A-Za-z0-9._/-]*)(?P<op>!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


class LabelTest(TypedDict):
    """A test of a node's label, as the API writes it; a preference has a weight."""

    label: str
    op: str
    value: NotRequired[str | list[str]]
    weight: NotRequired[float]


def constraint(text: str, option: str = "--constraint") -> LabelTest:
    """Return a constraint as the API writes it; several values are separated by commas. Raises UsageError naming the option."""
    if re.fullmatch(r"!?[A-Za-z0-9][A-Za-z0-9._/-]*", text):
        return {"label": text.lstrip("!"), "op": "not_exists" if text.startswith("!") else "exists"}
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise UsageError(f"{option}: {text!r} is not LABEL=VALUE, LABEL!=VALUE, LABEL>NUMBER, LABEL or !LABEL")
    label, op, value = match["label"], match["op"], match["value"]
    if "<" in op or ">" in op:
        _check_number(text, op, value, option)
    if "," in value and op in {"=", "!="}:
        return {"label": label, "op": "in" if op == "=" else "not_in", "value": value.split(",")}
    return {"label": label, "op": op, "value": value}


def preference(text: str) -> LabelTest:
    """Return a preference as the API writes it. Raises UsageError."""
    test, star, weight = text.rpartition("*")
    if not star:
        return constraint(text, "--prefer")
    if not re.fullmatch(r"-?\d+(\.\d+)?", weight):
        raise UsageError(
            f"--prefer: {text!r}: behind * stands a weight such as 5, not {weight!r}; with a * in the value write {text}*1"
        )
    if abs(float(weight)) > MOST_WEIGHT:
        raise UsageError(f"--prefer: {text!r}: a weight is from -{MOST_WEIGHT} to {MOST_WEIGHT}")
    return {**constraint(test, "--prefer"), "weight": float(weight)}


def constraints(texts: list[str]) -> list[LabelTest]:
    """Return constraints as the API writes them. Raises UsageError."""
    return [constraint(text) for text in texts]


def preferences(texts: list[str]) -> list[LabelTest]:
    """Return preferences as the API writes them. Raises UsageError."""
    return [preference(text) for text in texts]


def _check_number(text: str, op: str, value: str, option: str) -> None:
    try:
        good = isfinite(float(value))
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{option}: {text!r}: {op} takes a number, not {value!r}")
