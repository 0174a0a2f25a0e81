"""From what the domain raises to what HTTP says: one table, one body.

The body is flat: `code` (the status), `name` (its text), `description` (the sentence), `kind` (a stable slug),
`field` and `faults`, `request_id`. On the job-services paths a client that does not ask for JSON gets the sentence as text.
On the addresses of a dialect the body has that dialect's form (`ProblemForm`), whatever has failed: an unknown address and a request
that never reached a route, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

import structlog
from flask import Flask, Response, current_app, g, request
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.routing import RequestRedirect

from api.http.answers import dump
from api.http.schema import nearest
from scheduler import errors
from scheduler.errors import MOST_FAULTS, Fault, GangerError, InvalidInput, ServiceUnavailable, in_words

log = structlog.get_logger()

Location: TypeAlias = tuple[int | str, ...]
"""Where in a body or query something is, as pydantic says it."""

STATUS: dict[type[GangerError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Purged: HTTPStatus.GONE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.NodeReplaced: HTTPStatus.CONFLICT,
    errors.NodeNameTaken: HTTPStatus.CONFLICT,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.OverQuota: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ServiceUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

RETRY_AFTER_S = {HTTPStatus.TOO_MANY_REQUESTS: "5", HTTPStatus.SERVICE_UNAVAILABLE: "1"}

MOST_FOUND = 20_000
"""To list the faults of a body takes far longer than to find them, so beyond this they are only counted."""

_INNER = re.compile(r"(?:one|many)\Z|(?:function|constrained)-|(?:list|dict)\[")
"""Parts of a location that are pydantic's, not the client's: which of several forms it tried."""

_PASSING = ("08", "53", "57", "40", "55P03")
"""SQLSTATEs of trouble that passes: connection, resources, shutdown or time limit, serialization, lock not free."""

_KINDS = {
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
}


@dataclass(frozen=True, slots=True)
class ProblemForm:
    """How failures look on some addresses: which ones they are, and the body that stands for status, kind, sentence and faults."""

    covers: Callable[[str], bool]
    body: Callable[[HTTPStatus, str, str, Sequence[Fault]], Mapping[str, object]]
    content_type: str = "application/json"
    status: Callable[[str, HTTPStatus], HTTPStatus] = lambda _path, status: status
    """What stands for a status at an address: a scope that is missing may be 401."""


_FORMS = "ganger.problem_forms"


def use(app: Flask, form: ProblemForm) -> None:
    """Let failures on the addresses of this form look as it says."""
    app.extensions.setdefault(_FORMS, []).append(form)


def install(app: Flask) -> None:
    """Let every failure of a request become one clear answer."""
    app.register_error_handler(GangerError, _domain)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(PoolTimeout, _busy)
    app.register_error_handler(ClientDisconnected, _incomplete)
    app.register_error_handler(Exception, _unexpected)


def invalid(error: ValidationError, model: type[BaseModel]) -> InvalidInput:
    """Return all that is wrong with a body or query of this model as one sentence that names each field at fault."""
    if error.error_count() > MOST_FOUND:
        return InvalidInput(
            f"{error.error_count()} values are not as they should be; send fewer at once to be told which"
        )
    faults: dict[Location, Fault] = {}
    more = 0
    found = error.errors(include_url=False, include_context=False, include_input=False)
    forms = {one["loc"][:-1] for one in found if one["loc"] and _is_form(one["loc"][-1])}
    for number, one in enumerate(found):
        if len(faults) == MOST_FAULTS:
            break
        more, location = len(found) - number - 1, one["loc"]
        whole = location[:-1] if location[:-1] in forms else location  # the forms of one value are told once
        faults.setdefault(whole, _fault(location, one["type"], str(one["msg"]), model))
    told = [*faults.values()]
    return InvalidInput(in_words(told, more=more), field=told[0].field, faults=told)


def _fault(location: Location, kind: str, message: str, model: type[BaseModel]) -> Fault:
    where = field_name(location)
    sentence = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        sentence = "unknown field" + nearest.hint(str(location[-1]), nearest.fields_at(model, location[:-1]))
    return Fault(where or None, sentence)


def _is_form(part: int | str) -> bool:
    return isinstance(part, str) and _INNER.match(part) is not None


def field_name(location: Location) -> str:
    """Return `("jobs", 3, "cpus")` as `jobs[3].cpus`."""
    name = ""
    for part in location:
        if _is_form(part):
            continue
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name


def answer(
    status: int, kind: str, sentence: str, *, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return the error answer in the form this client takes."""
    form = _form_here()
    known = HTTPStatus(status) if form is None else form.status(request.path, HTTPStatus(status))
    status, sent = known.value, dict(headers or {})
    if known in RETRY_AFTER_S:
        sent.setdefault("Retry-After", RETRY_AFTER_S[known])
    if known is HTTPStatus.UNAUTHORIZED:
        sent.setdefault("WWW-Authenticate", 'Bearer realm="ganger"')
    if form is not None:
        return Response(dump(form.body(known, kind, sentence, faults)), status, sent, content_type=form.content_type)
    if _takes_text():
        return Response(sentence + "\n", status, sent, content_type="text/plain; charset=utf-8")
    body = {
        "code": status,
        "name": known.phrase,
        "description": sentence,
        "kind": kind,
        "field": faults[0].field if faults else None,
        "faults": [{"field": fault.field, "description": fault.sentence} for fault in faults],
        "request_id": g.get("request_id"),
    }
    return Response(dump(body), status, sent, content_type="application/json")


def _form_here() -> ProblemForm | None:
    forms: list[ProblemForm] = current_app.extensions.get(_FORMS, [])
    return next((form for form in forms if form.covers(request.path)), None)


def asks_for_json() -> bool:
    """Tell whether the client names a JSON type in Accept; `*/*` alone is not asking."""
    return any(
        quality > 0 and (media == "application/json" or media.endswith("+json"))
        for media, quality in request.accept_mimetypes
    )


def _takes_text() -> bool:
    return request.path.startswith("/jobs/") and not asks_for_json()


def _domain(error: GangerError) -> Response:
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    return answer(status, error.kind, str(error), faults=error.faults)


def _http(error: HTTPException) -> Response | HTTPException:
    if isinstance(error, RequestRedirect):
        return error
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _KINDS.get(status, HTTPStatus(status).phrase.lower().replace(" ", "-"))
    headers = {name: value for name, value in error.get_headers() if name in _PASSED_ON}
    sentence = _SENTENCES.get(status) or error.description or HTTPStatus(status).phrase
    return answer(status, kind, sentence, headers=headers)


_PASSED_ON = frozenset({"Allow", "Retry-After", "Content-Range", "Accept-Encoding"})
_SENTENCES = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
    413: "the body is larger than this address takes",
}


def _database(error: DBAPIError) -> Response:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if error.connection_invalidated or isinstance(error, OperationalError) or state.startswith(_PASSING):
        log.warning("database.unavailable", sqlstate=state, path=request.path)
        return _domain(ServiceUnavailable("the database cannot be reached or is busy; try again"))
    if state.startswith("22"):  # data exception: a value no column takes that got past our own checks
        log.warning("database.refused", sqlstate=state, path=request.path)
        return _domain(InvalidInput("a value cannot be stored"))
    return _unexpected(error)


def _busy(_error: PoolTimeout) -> Response:
    return _domain(ServiceUnavailable("too many requests at once; try again"))


def _incomplete(_error: ClientDisconnected) -> Response:
    """The client went away, or its body stopped coming (see `api.http.serving.gunicorn_worker`)."""
    return answer(400, "incomplete-body", "the body ended before its Content-Length")


def _unexpected(error: Exception) -> Response:
    log.error("request.failed", path=request.path, request_id=g.get("request_id"), exc_info=error)
    return answer(500, "internal", "something went wrong inside; the log has more under this request id")
