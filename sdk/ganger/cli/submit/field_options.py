"""Options of `ganger submit` that set a field of the request: by name, so that an option is declared in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from ganger.requests import JobRequest

REQUEST = frozenset(each.name for each in fields(JobRequest))


@dataclass(frozen=True, slots=True)
class JobField:
    """Stands in the annotation of an option: the field of the request that it sets, if that has another name.

    `value` makes the field's value of what was written; it raises UsageError naming the option. It is a function of its module:
    a lambda would see no names, where annotations are evaluated. A field that is set `by_hand` depends on other options too.
    """

    field: str
    value: Callable[..., object] | None = None
    by_hand: bool = False


class SubmissionOptions:
    """A group of options, as a dataclass, that writes its fields into a request.

    An option that is not given leaves its field None, which means: as the job type says.
    """

    __slots__ = ()

    def apply(self, request: JobRequest) -> JobRequest:
        """Return the request with these fields. Raises UsageError naming the option."""
        given: dict[str, Any] = {
            sets.field: _value(getattr(self, name), sets)
            for name, sets in fields_set(type(self)).items()
            if not sets.by_hand
        }
        return replace(request, **given)


def fields_set(group: type[SubmissionOptions]) -> Mapping[str, JobField]:
    """Return by the name of an option the field that it sets: the one that it is marked with, or the one of its own name."""
    marks = {
        name: next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, JobField)), JobField(name))
        for name, hint in get_type_hints(group, include_extras=True).items()
    }
    return {name: sets for name, sets in marks.items() if sets.field in REQUEST}


def _value(given: object, sets: JobField) -> object:
    """Return the value of a field; a flag or a list that is not given is None, too."""
    if given is None or given is False or given == []:
        return None
    return given if sets.value is None else sets.value(given)
