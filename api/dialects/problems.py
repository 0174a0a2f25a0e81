"""The two forms in which dialects tell errors. Each is for a set of addresses, and then for *every* error on these.

    described(beneath("/projects"))      {"code": 404, "name": "Not Found", "description": "there is no job 7"}
    titled(beneath("/blockmodel"))       {"type": "urn:ganger:problems/not-found", "title": "Not Found", "status": 404, "detail": "..."}

Handlers only raise what the domain raises (`scheduler.errors`); unknown addresses, wrong methods, bodies that are too large, rate
limits and faults inside take the same way (`api.http.problems`), so they look the same. Where a document tells a problem in an answer
that is no error, such as the end of a job, `problem` makes the titled form, and `type_of` its type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from flask import g
from typing_extensions import TypedDict

from api.http.problems import ProblemForm
from scheduler.errors import Fault

_TYPES = "urn:ganger:problems/"


class DescribedProblem(TypedDict):
    """An error as some clients read it. No key may be added: `errors` and `msg` would hide the description from them."""

    code: int
    name: str
    description: str


class TitledProblem(TypedDict):
    """An error as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str


def beneath(prefix: str) -> Callable[[str], bool]:
    """Return what tells whether a path is this one or lies beneath it."""
    return lambda path: path == prefix or path.startswith(f"{prefix}/")


def described(
    covers: Callable[[str], bool], status: Callable[[str, HTTPStatus], HTTPStatus] = lambda _path, status: status
) -> ProblemForm:
    """Return the form `{code, name, description}` for the addresses that `covers` tells; `status` says what stands for one there."""

    def body(known: HTTPStatus, _kind: str, sentence: str, _faults: Sequence[Fault]) -> DescribedProblem:
        return {"code": known.value, "name": known.phrase, "description": sentence}

    return ProblemForm(covers, body, status=status)


def titled(covers: Callable[[str], bool]) -> ProblemForm:
    """Return the form `{type, title, status, detail}`, with the faults of a request beside them, for these addresses."""

    def body(status: HTTPStatus, kind: str, sentence: str, faults: Sequence[Fault]) -> dict[str, object]:
        told = [{"field": fault.field, "detail": fault.sentence} for fault in faults]
        return {**problem(status, kind, sentence), "faults": told, "request_id": g.get("request_id")}

    return ProblemForm(covers, body)


def problem(status: int, kind: str, sentence: str, title: str | None = None) -> TitledProblem:
    """Return a problem; its title is that of its status unless another is given."""
    return {
        "type": type_of(kind),
        "title": HTTPStatus(status).phrase if title is None else title,
        "status": int(status),
        "detail": sentence,
    }


def type_of(kind: str) -> str:
    """Return the type of a problem of this kind, such as `canceled`: a name, not an address."""
    return _TYPES + kind
