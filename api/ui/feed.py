"""What pages show and do: the API's own routes, asked within the process, with the caller's role and the checks of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, get_type_hints

from flask import g
from pydantic import BaseModel, ValidationError

from api.http import auth
from api.http.answers import Answer
from api.http.app import NOUNS
from api.http.problems import invalid
from api.http.routing import ApiCall, Handler, Route, list_fields
from api.ui.pages import PageRequest
from scheduler.documents import JsonValue

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

    With `paged` it is the one list of the page that the cursor in its address belongs to. Raises what the route raises, Forbidden for a role that does not reach, and InvalidInput for a query or body that is none.
    """
    route = _ROUTES[handler]
    auth.permit(page.caller, route.role)
    hints = get_type_hints(handler)
    arguments = dict(path)
    if (model := hints.get("query")) is not None:
        arguments["query"] = _checked(model, _texts(query or {}, list_fields(model)))
    if (model := hints.get("body")) is not None:
        g.body = body
        arguments["body"] = _checked(model, body)
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


def _checked(model: type[BaseModel], value: object) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, model) from None
