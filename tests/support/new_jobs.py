"""Jobs that differ in one field, whatever fields a new job has."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from scheduler.jobs.new_job import NewJob
from scheduler.needs.new_needs import NewNeed, NewWire
from scheduler.rules.job_type.awaited import AwaitedInput

HINTS = get_type_hints(NewJob, localns={"JsonValue": object})
_BY_TYPE: Mapping[Any, tuple[object, ...]] = {
    bool: (False, True),
    int: (8, 9),
    str: ("a", "b"),
    NewNeed: (NewNeed(job=1), NewNeed(job=2)),
    AwaitedInput: (AwaitedInput("a"), AwaitedInput("b"), AwaitedInput("a", sha256="x")),
    datetime: (datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)),
}


def different(job: NewJob, name: str) -> list[NewJob]:
    """Return this job and others, no two of them with the same value in the field of this name."""
    values = [getattr(job, name)]
    values += [value for value in _values(HINTS[name]) if value not in values]
    return [replace(job, **{name: value}) for value in values]


def _values(hint: Any) -> tuple[object, ...]:
    """Return values of a type that differ; raises KeyError for a kind of type that is not known here."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if NoneType in get_args(hint):
        return _values(kinds[0])
    origin = get_origin(hint)
    if origin is list:
        return tuple([value] for value in _values(kinds[0]))
    if origin is dict:
        if get_args(hint)[1] is NewWire:
            return {"a": NewWire(((0, "x"),))}, {"b": NewWire(((0, "x"),))}
        return {"a": "x"}, {"a": "y"}, {"b": "x"}
    if is_typeddict(hint):
        return {"label": "a", "op": "=", "value": "x"}, {"label": "b", "op": "=", "value": "x"}
    return _BY_TYPE[getattr(hint, "__supertype__", hint)]
