"""The kinds of values in bodies and queries: strict, bounded, and in the API's own units."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from scheduler.rules.cluster.resources import PLAIN

Record = TypeVar("Record")

MAX_ID = 2**63 - 1
MAX_AMOUNT = 10**12
"""Most cpus, MiB or pieces one can ask for: an exabyte of memory."""

MAX_TIMEOUT_S = 366 * 24 * 3600
MAX_TRIES = 1_000
MAX_PRIORITY = 2**31 - 1
MAX_TEXT = 10_000
HORIZON = timedelta(days=10 * 366)

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ASCII_INT = re.compile(r"-?[0-9]{1,20}\Z")


class SchemaModel(BaseModel):
    """A model whose JSON Schema is made once per process, however many applications are built from it."""

    @classmethod
    def model_json_schema(cls, *given: Any, **named: Any) -> dict[str, Any]:  # noqa: ANN401 - what pydantic's own takes
        """Return the schema; every caller gets a copy of its own."""
        key = (cls, repr(given), repr(sorted(named.items(), key=lambda pair: pair[0])))
        if key not in _schemas:
            _schemas[key] = super().model_json_schema(*given, **named)
        return copy.deepcopy(_schemas[key])


_schemas: dict[tuple[type, str, str], dict[str, Any]] = {}


class Body(SchemaModel):
    """A JSON body: no field that is not known, no value of another type, no null where a value is meant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ChangeBody(Body):
    """A JSON body that changes at least one thing."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})


class DocumentBody(Body, ABC):
    """A part of a JSON body that is stored as a document of its own."""

    @abstractmethod
    def document(self) -> Mapping[str, object]:
        """Return what is stored."""


class Query(SchemaModel):
    """A query string: a parameter that is not known is refused, since one that is mistyped would silently do nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    in_links: ClassVar[frozenset[str]] = frozenset()
    """Parameters that only the links of answers have: they are not in the document."""


LEFT_OUT: Any = None
"""Default of a field that may be left out but, when it is there, must have a value."""


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("it holds control characters")
    return text


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def _whole_amount(value: object) -> int:
    """Take a JSON number with at most three decimals; the result is in thousandths."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("it must be a number")  # noqa: TRY004 - pydantic turns only ValueError into its own
    if isinstance(value, int) and 0 <= value <= MAX_AMOUNT:
        return value * 1000
    try:
        exact = Decimal(repr(value)) * 1000
    except InvalidOperation as error:
        raise ValueError("it must be a number") from error
    if exact < 0 or exact > MAX_AMOUNT * 1000:
        raise ValueError(f"it must be from 0 to {MAX_AMOUNT}")
    if exact != exact.to_integral_value():
        raise ValueError("it can have at most three decimals")
    return int(exact)


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("it must be more than 0")
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("it must be a time such as 2026-11-22T10:00:00Z")  # noqa: TRY004
    return parse_moment(value)


def parse_moment(value: str) -> datetime:
    """Return an ISO-8601 time with zone in UTC; raises ValueError. A space is taken for the + it once was."""
    try:
        parsed = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d\Z)", "+", value))
    except ValueError:
        raise ValueError(f"{value[:60]!r} is not a time such as 2026-11-22T10:00:00Z") from None
    if parsed.tzinfo is None:
        raise ValueError(f"{value[:60]!r} has no zone; end it with Z or an offset such as +01:00")
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value[:60]!r} is out of range") from None


def _query_int(value: object) -> object:
    if isinstance(value, str):
        if not _ASCII_INT.match(value):
            raise ValueError(f"{value[:40]!r} is not a whole number")
        return int(value)
    return value


def _query_bool(value: object) -> object:
    if isinstance(value, str):
        word = value.lower()
        if word in {"true", "t", "1"}:
            return True
        if word in {"false", "f", "0"}:
            return False
        raise ValueError(f"{value[:40]!r} is neither true nor false")
    return value


Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that may stand in an address: letters, digits, dot, dash, underscore."""

TypeWord = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
    ),
]
"""The name of a job type: words with slashes between them."""

_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]*$"

Title = Annotated[str, StringConstraints(max_length=256, pattern=_PRINTABLE), AfterValidator(_plain)]
"""One line for people."""

Prose = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_no_nul)]
"""Text for people, lines included."""

Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=_PRINTABLE), AfterValidator(_plain)]

Id = Annotated[int, Field(ge=1, le=MAX_ID)]

Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]

_AMOUNT_SCHEMA = {"type": "number", "minimum": 0, "maximum": MAX_AMOUNT, "multipleOf": 0.001}
Amount = Annotated[int, BeforeValidator(_whole_amount), WithJsonSchema(_AMOUNT_SCHEMA)]
"""Cpus, MiB or pieces; a decimal in JSON, thousandths inside."""

Cpus = Annotated[
    int,
    BeforeValidator(_whole_amount),
    AfterValidator(_positive),
    WithJsonSchema({**_AMOUNT_SCHEMA, "minimum": 0.001}),
]

Timeout = Annotated[int, Field(ge=1, le=MAX_TIMEOUT_S)]
Tries = Annotated[int, Field(ge=1, le=MAX_TRIES)]
Priority = Annotated[int, Field(ge=0, le=MAX_PRIORITY)]

Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]

_DATE = r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_SPAN = r"P(?:\d{1,4}W)?(?:\d{1,5}D)?(?:T(?:\d{1,6}H)?(?:\d{1,6}M)?\d{1,6}S)?"
Bound = Annotated[
    str,
    StringConstraints(max_length=64),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^(?:{_DATE}T{_TIME}|{_SPAN})$",
            "maxLength": 64,
            "description": "an ISO-8601 time with zone, or a duration back from now such as PT3H0M0S",
        }
    ),
]
"""One end of a time window."""

Digits = BeforeValidator(_query_int)
"""Stands behind the bounds of a whole number in a query: before them they would be missing in the document."""
QueryId = Annotated[int, Field(ge=-MAX_ID, le=MAX_ID), Digits]
QueryBool = Annotated[bool, BeforeValidator(_query_bool)]


def custom_only(resources: dict[str, int], fields: Mapping[str, str]) -> dict[str, int]:
    """Return custom resources. Raises ValueError for one called like a resource that has a field of its own: `fields` by name."""
    for name in PLAIN:
        if name in resources:
            raise ValueError(f"{name} is not a custom resource; use {fields[name]}")
    return resources


NO_PLAIN: dict[str, Any] = {"propertyNames": {"not": {"enum": list(PLAIN)}}}
"""The same in the document."""


def given(body: Body) -> dict[str, object]:
    """Return the fields that a body has, by name; those it leaves out are not there."""
    return {name: getattr(body, name) for name in type(body).model_fields if name in body.model_fields_set}


def stored(body: Body, names: Iterable[str], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return those of these fields that a body has, in this order, under the names that the scheduler has for them.

    The names are equal but for those in `renamed`. Parts that are stored as documents are documents here.
    """
    given = body.model_fields_set
    return {renamed.get(name, name): _document(getattr(body, name)) for name in names if name in given}


_SIMPLE = frozenset({bool, int, float, str, dict, datetime, NoneType})
"""Types that need no look; to ask whether a value is a model takes pydantic longer than all the rest, ten thousand times."""


def _document(value: object) -> object:
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, DocumentBody):
        return value.document()
    if isinstance(value, list) and value and isinstance(value[0], DocumentBody):
        return [each.document() for each in value]
    return value


def changes(body: Body, record: type[Record]) -> Record:  # noqa: ARG001 - it names the type alone
    """Return the fields that a body has, as the record that takes them: the body's model has checked them."""
    return cast("Record", given(body))


def units(thousandths: int) -> float:
    """Return an amount as the API speaks it: a decimal, also where it is whole (1.0)."""
    return thousandths / 1000
