"""Answers and parts of answers that several nouns share. Times are UTC, amounts are cpus, MiB or pieces, durations are seconds."""

from __future__ import annotations

from typing import Generic, TypeVar

from typing_extensions import TypedDict

T = TypeVar("T")


class FaultView(TypedDict):
    """One thing that is wrong with a request."""

    field: str | None
    description: str


class Problem(TypedDict):
    """A failure. `kind` is stable, `description` is for people; `faults` has all that is wrong, `field` is that of the first."""

    code: int
    name: str
    description: str
    kind: str
    field: str | None
    faults: list[FaultView]
    request_id: str | None


class ListOf(TypedDict):
    """Part of a list. `count` is of all that match; above 10,000 it may be an estimate (`count_exact` false)."""

    count: int
    count_exact: bool
    next: str | None
    previous: str | None


class PageOf(ListOf, Generic[T]):
    """A list in full shape; the lists of the nouns are named ones of these."""

    results: list[T]


class Reference(TypedDict):
    """Something by its id."""

    id: int


class NamedReference(Reference):
    """Something by its id and name."""

    name: str


class TypeInShort(TypedDict):
    """A job type."""

    id: int
    name: str
    version: str


class NodeInShort(TypedDict):
    """A node."""

    id: int
    name: str
    hostname: str
