"""The nearest name that is known, for one that is not: a mistyped field or parameter is answered with what was meant."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Collection, Iterator, Sequence

from pydantic import BaseModel, RootModel

_MOST_CHARACTERS = 60
"""Of a name that is compared: the comparison takes time that grows with the square."""


def hint(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest of those that are known, nothing where none is near."""
    if len(name) > _MOST_CHARACTERS:
        return ""
    plain = {one.lower().replace("_", ""): one for one in known}
    close = difflib.get_close_matches(name.lower().replace("_", ""), plain, 1)
    return f"; did you mean {plain[close[0]]}?" if close else ""


def names_of(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields as clients write them."""
    return [info.alias or name for name, info in model.model_fields.items()]


def fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the names of the fields that may stand at a place within a body."""
    there = [*_models(model)]
    for part in location:
        deeper = [
            found
            for one in there
            for name, info in one.model_fields.items()
            if part in {name, info.alias}
            for found in _models(info.annotation)
        ]
        there = deeper or there  # numbers, keys, and the word for which of several forms it is
    return [name for one in there for name in names_of(one)]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models that a value of this type is made of, at its uppermost level."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _models(annotation.model_fields["root"].annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for part in typing.get_args(annotation):
            yield from _models(part)
