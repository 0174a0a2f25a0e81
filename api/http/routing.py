"""How a route is written: a function of the call, its path, query and body; declared with the role it needs.

    routes = Routes("jobs")

    @routes.get("/jobs/<id:job_id>/", role=Role.VIEWER, answers={200: JobDetail})
    def show_job(call: ApiCall, job_id: int) -> JobDetail:
        '''One job in full.'''
        return view.detail(queries.job(call.rt, call.caller, job_id))

A parameter named `query` is read from the query string, one named `body` from the JSON body, each by the pydantic
model it is annotated with. Everything is checked before the handler runs: token, role, size, media type, body.
"""

from __future__ import annotations

import re
import secrets
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Required, TypeAlias, TypedDict, TypeVar, Unpack, get_type_hints

from flask import Flask, Response, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.routing import BaseConverter, IntegerConverter, PathConverter

from api.http import api_runtime, auth, strict_json
from api.http.answers import respond
from api.http.auth import permit
from api.http.document.answer_types import AnswerType
from api.http.problems import invalid
from api.http.schema import nearest
from api.http.schema.fields import Query
from scheduler.errors import MOST_FAULTS, Fault, InvalidInput, in_words
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime

Needs: TypeAlias = Role | str
"""A role, "node" for the node protocol, or "public"."""

Handler: TypeAlias = Callable[..., object]
H = TypeVar("H", bound=Handler)
M = TypeVar("M", bound=BaseModel)

NOBODY = Caller(0, "anonymous", None)


class IdConverter(IntegerConverter):
    """An id in an address; what is no number, or too large for the database, is simply not there."""

    regex = r"\d{1,18}"


class TypeNameConverter(PathConverter):
    """The name of a job type in an address: words with slashes between them. What a type has by its id is no such name."""

    regex = r"(?!\d+/(?:revisions|statistics)(?:/|\Z))[^/].*?"


CONVERTERS: Mapping[str, type[BaseConverter]] = {"id": IdConverter, "words": TypeNameConverter}
"""The kinds of parameters that an address may have beside Flask's own."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """The first argument of every handler. `caller` is the caller of the request; on public routes it stands for nobody in particular."""

    rt: Runtime
    caller: Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one address, with the options of `RouteOptions`."""

    tag: str
    method: str
    rule: str
    handler: Handler
    role: Needs
    answers: Mapping[int, AnswerType] = field(default_factory=lambda: {200: None})
    body_limit: Callable[[Runtime], int] | None = None
    request_body: Mapping[str, object] | None = None
    headers: type[BaseModel] | None = None
    orders: Sequence[str] = ()
    any_query: bool = False


class RouteOptions(TypedDict, total=False):
    """The options of a route beside its address.

    `answers` has the type of each answer by its status; `body_limit` gives the most bytes of a body where it is not the
    usual; `request_body` describes a body that the handler reads by itself (files), and `headers` the headers it reads;
    `orders` are the fields that a list can be ordered by. With `any_query` parameters that nobody knows are passed over.
    """

    role: Required[Needs]
    answers: Mapping[int, AnswerType]
    body_limit: Callable[[Runtime], int]
    request_body: Mapping[str, object]
    headers: type[BaseModel]
    orders: Sequence[str]
    any_query: bool


@dataclass(slots=True)
class Routes:
    """The routes of one noun; `api.http.app` mounts them."""

    tag: str
    all: list[Route] = field(default_factory=list)

    def get(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Declare what GET does at this address."""
        return self._declare("GET", rule, options)

    def post(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Declare what POST does at this address."""
        return self._declare("POST", rule, options)

    def put(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Declare what PUT does at this address."""
        return self._declare("PUT", rule, options)

    def patch(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Declare what PATCH does at this address."""
        return self._declare("PATCH", rule, options)

    def delete(self, rule: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Declare what DELETE does at this address."""
        return self._declare("DELETE", rule, options)

    def _declare(self, method: str, rule: str, options: RouteOptions) -> Callable[[H], H]:
        def declare(handler: H) -> H:
            self.all.append(Route(tag=self.tag, method=method, rule=rule, handler=handler, **options))
            return handler

        return declare


def mount(app: Flask, routes: Routes) -> None:
    """Put the routes of one noun into the app."""
    for route in routes.all:
        app.add_url_rule(
            route.rule, endpoint=f"{route.method} {route.rule}", view_func=_view(route), methods=[route.method]
        )


def install(app: Flask) -> None:
    """Let every request begin with an id."""
    app.before_request(_give_id)


def check_parameters(model: type[Query] | None) -> None:
    """Raise InvalidInput for parameters of the query string that this address does not know, with the nearest that it knows."""
    known = () if model is None else nearest.names_of(model)
    hidden = () if model is None else model.in_links
    unknown = [name for name in request.args if name not in known and name not in hidden]
    if not unknown:
        return
    told = unknown[:MOST_FAULTS]
    faults = [Fault(name, _unknown(name, known)) for name in told]
    raise InvalidInput(in_words(faults, more=len(unknown) - len(told)), field=told[0], faults=faults)


def _unknown(name: str, known: Sequence[str]) -> str:
    return f"unknown parameter{nearest.hint(name, known)}" if known else "this address takes no parameters"


def read_query(model: type[M], lists: frozenset[str]) -> M:
    """Return the query string as its model; `lists` are the fields that may be repeated. Raises InvalidInput."""
    if not request.args and model in _without:
        return typing.cast("M", _without[model])
    given: dict[str, str | list[str]] = {}
    for name, values in request.args.lists():
        for value in values:
            strict_json.check_text(value, name)
        given[name] = values if name in lists else values[-1]
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        raise invalid(error, model) from None
    if not given:
        _without[model] = found
    return found


_without: dict[type[BaseModel], BaseModel] = {}
"""The queries of empty query strings: they are frozen, and defaults are copied one by one."""


def read_body(rt: Runtime, model: type[M], limit: Callable[[Runtime], int] | None) -> M:
    """Return the JSON body as its model; raises InvalidInput, BodyTooLarge, or 415 for another media type."""
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType("the body must be application/json")
    request.max_content_length = limit(rt) if limit else rt.settings.max_body
    value = strict_json.loads(request.get_data(cache=False))
    g.body = value
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, model) from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None


def list_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the fields that may be repeated in a query string."""
    return frozenset(name for name, info in model.model_fields.items() if _is_list(info.annotation))


def _is_list(annotation: object) -> bool:
    return typing.get_origin(annotation) is list or any(_is_list(part) for part in typing.get_args(annotation))


def _view(route: Route) -> Callable[..., Response]:
    """Return the function Flask calls: it checks everything, in order, and then calls the handler."""
    hints = get_type_hints(route.handler)
    query, body = hints.get("query"), hints.get("body")
    lists = list_fields(query) if query else frozenset[str]()

    def view(**path: int | str) -> Response:
        call = _call(route.role)
        arguments: dict[str, object] = dict(path)
        for value in path.values():
            if isinstance(value, str):
                strict_json.check_text(value)
        if not route.any_query:
            check_parameters(query)
        if query is not None:
            arguments["query"] = read_query(query, lists)
        if body is not None:
            arguments["body"] = read_body(call.rt, body, route.body_limit)
        try:
            return respond(route.handler(call, **arguments))
        finally:
            auth.forget_callers()

    view.__name__ = route.handler.__name__
    return view


def _call(needs: Needs) -> ApiCall:
    shared = api_runtime.of_this_app()
    if needs == "public":
        return ApiCall(shared.rt, NOBODY)
    caller = auth.caller(shared.rt)
    g.caller = caller
    permit(caller, needs)
    return ApiCall(shared.rt, caller)


def _give_id() -> None:
    """Give the request an id: the client's own when it is plain, else a new one."""
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else secrets.token_hex(8)
