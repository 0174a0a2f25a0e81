"""What pages show and do: the API's own routes, asked within the process, with the caller's role and the checks of the API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, get_type_hints

from flask import g
from pydantic import BaseModel, ValidationError

from api.http import auth, strict_json
from api.http.answers import Answer
from api.http.app import NOUNS
from api.http.problems import invalid
from api.http.routing import ApiCall, Handler, Route, list_fields
from api.ui.pages import PageRequest
from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput

_ROUTES: Mapping[Handler, Route] = {route.handler: route for noun in NOUNS for route in noun.routes.all}

Asked: TypeAlias = Mapping[str, object]


def ask(
    page: PageRequest,
    handler: Handler,
    *,
    query: Asked | None = None,
    body: JsonValue = None,
    paged: bool = False,
    **path: object,
) -> Any:  # noqa: ANN401 - the documents of all routes; templates read them as they come
    """Return what a route answers to this caller: its body. `query` has texts, lists of them for what may be repeated.

    With `paged` it is the one list of the page that the cursor in its address belongs to. Raises what the route raises, Forbidden for a role that does not reach, and InvalidInput for a query or body that is none: what comes from forms and
    addresses is looked at as if it had come as JSON.
    """
    route = _ROUTES[handler]
    auth.permit(page.caller, route.role)
    hints = get_type_hints(handler)
    arguments = dict(path)
    for one in _words([*path.values(), *(query or {}).values()]):
        strict_json.check_text(one)
    if (model := hints.get("query")) is not None:
        arguments["query"] = _checked(model, _texts(query or {}, list_fields(model)))
    if (model := hints.get("body")) is not None:
        g.body = _strict(body)
        arguments["body"] = _checked(model, g.body)
    g.without_cursor = not paged
    result = handler(ApiCall(page.rt, page.caller), **arguments)
    return result.body if isinstance(result, Answer) else result


def _texts(query: Asked, lists: frozenset[str]) -> dict[str, object]:
    """Return the parameters that are given; one that may be repeated is always a list."""
    given = {name: value for name, value in query.items() if value is not None and value not in ("", (), [])}
    return {
        name: list(value) if isinstance(value, list | tuple) else [value] if name in lists else value
        for name, value in given.items()
    }


def _words(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _words(value)


def _strict(body: JsonValue) -> JsonValue:
    """Return a body as the API reads it. Raises InvalidInput for what JSON cannot hold, is too deep, or is too large a number."""
    try:
        written = json.dumps(body)
    except (ValueError, RecursionError):
        raise InvalidInput("this is too deep, or has too large a number") from None
    return strict_json.loads(written.encode())


def _checked(model: type[BaseModel], value: object) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, model) from None
