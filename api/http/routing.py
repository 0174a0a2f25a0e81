"""How a route is written: a function of the call, its path, query and body; declared with the role it needs.

    routes = Routes("jobs")

    @routes.get("/jobs/<id:job_id>/", role=Role.VIEWER, answers={200: JobDetail})
    def show_job(call: Call, job_id: int) -> Any:
        '''One job in full.'''
        return lookup.job(call.rt, call.scope, job_id)

A parameter named `query` is read from the query string, one named `body` from the JSON body, each by the pydantic
model it is annotated with. Everything is checked before the handler runs: token, role, size, media type, body.
"""

from __future__ import annotations

import inspect
import re
import secrets
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_type_hints

from flask import Flask, current_app, g, request
from flask_openapi import OpenAPI
from pydantic import BaseModel, ValidationError, create_model
from werkzeug.exceptions import UnsupportedMediaType

from api.http import strict_json
from api.http.answers import respond
from api.http.auth import Recognition, permit
from api.http.document import answer_types
from api.http.document.answer_types import AnswerType
from api.http.problems import invalid
from scheduler.errors import InvalidInput
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime

Needs: TypeAlias = Role | str
"""A role, "node" for the node protocol, or "public"."""

Handler: TypeAlias = Callable[..., Any]

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True, slots=True)
class Call:
    """What every handler gets first. `caller` is who asks; on public routes nobody in particular."""

    rt: Runtime
    caller: Caller


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address."""

    method: str
    rule: str
    needs: Needs
    handler: Handler
    tag: str
    answers: Mapping[int, AnswerType]
    body_limit: Callable[[Runtime], int] | None
    request_body: Mapping[str, Any] | None
    headers: type[BaseModel] | None
    deprecated: bool = False
    orders: Sequence[str] = ()


@dataclass(slots=True)
class Routes:
    """The routes of one noun; `api.http.app` mounts them."""

    tag: str
    all: list[Route] = field(default_factory=list)

    def get(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """Declare what GET does at this address."""
        return self._declare("GET", rule, **options)

    def post(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """Declare what POST does at this address."""
        return self._declare("POST", rule, **options)

    def patch(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """Declare what PATCH does at this address."""
        return self._declare("PATCH", rule, **options)

    def delete(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """Declare what DELETE does at this address."""
        return self._declare("DELETE", rule, **options)

    def _declare(
        self,
        method: str,
        rule: str,
        *,
        role: Needs,
        answers: Mapping[int, AnswerType] | None = None,
        body_limit: Callable[[Runtime], int] | None = None,
        request_body: Mapping[str, Any] | None = None,
        headers: type[BaseModel] | None = None,
        deprecated: bool = False,
        orders: Sequence[str] = (),
    ) -> Callable[[Handler], Handler]:
        """`request_body` documents a body that the handler reads by itself (files); `headers` those it looks at, `orders` what a list goes by."""

        def keep(handler: Handler) -> Handler:
            self.all.append(
                Route(
                    method, rule, role, handler, self.tag, answers or {200: None}, body_limit, request_body, headers,
                    deprecated, orders,
                )
            )  # fmt: skip
            return handler

        return keep


def mount(app: OpenAPI, routes: Routes) -> None:
    """Put the routes of one noun into the app and its OpenAPI document."""
    for route in routes.all:
        declare = getattr(app, route.method.lower())
        declare(
            route.rule,
            tags=[{"name": route.tag}],
            operation_id=route.handler.__name__,
            responses={status: answer_types.response(status, answer) for status, answer in route.answers.items()},
            security=[] if route.needs == "public" else [{"token": []}],
            deprecated=route.deprecated or None,
            openapi_extensions={"x-role": _word(route.needs), "x-orders": list(route.orders)},
            endpoint=f"{route.method} {route.rule}",
            **({"request_body": dict(route.request_body)} if route.request_body else {}),
        )(_view(route))


def _word(needs: Needs) -> str:
    return needs.name.lower() if isinstance(needs, Role) else needs


def _view(route: Route) -> Handler:
    """Return the function Flask calls: it checks everything, in order, and then calls the handler."""
    hints = get_type_hints(route.handler)
    query, body = hints.get("query"), hints.get("body")
    lists = list_fields(query) if query else frozenset()

    def view(**path: Any) -> Any:
        call = _call(route.needs)
        arguments: dict[str, Any] = dict(path)
        for value in path.values():
            if isinstance(value, str):
                strict_json.check_text(value)
        if query is not None:
            arguments["query"] = read_query(query, lists)
        if body is not None:
            arguments["body"] = read_body(call.rt, body, route.body_limit)
        return respond(route.handler(call, **arguments))

    view.__name__ = route.handler.__name__
    view.__doc__ = inspect.getdoc(route.handler)
    view.__delay_validate_request__ = True  # type: ignore[attr-defined]  # the document comes from these, the checks are ours
    view.__annotations__ = {
        "path": _path_model(route),
        **({"query": query} if query else {}),
        **({"body": body} if body else {}),
        **({"header": route.headers} if route.headers else {}),
    }
    if view.__annotations__["path"] is None:
        del view.__annotations__["path"]
    return view


NOBODY = Caller(0, "anonymous", None)


def _call(needs: Needs) -> Call:
    rt = typing.cast("Runtime", current_app.extensions["ganger.rt"])
    if needs == "public":
        return Call(rt, NOBODY)
    recognition: Recognition = current_app.extensions["ganger.recognition"]
    caller = recognition.caller()
    g.caller = caller
    permit(caller, needs)
    return Call(rt, caller)


def read_query(model: type[BaseModel], lists: frozenset[str]) -> BaseModel:
    """Return the query string as its model; raises InvalidInput."""
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        for value in values:
            strict_json.check_text(value, name)
        given[name] = values if name in lists else values[-1]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error) from None


def read_body(rt: Runtime, model: type[BaseModel], limit: Callable[[Runtime], int] | None) -> BaseModel:
    """Return the JSON body as its model; raises InvalidInput, TooLarge, or 415 for another media type."""
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType("the body must be application/json")
    request.max_content_length = limit(rt) if limit else rt.settings.max_body
    value = strict_json.loads(request.get_data(cache=False))
    g.body = value
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None


def list_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the fields that may be repeated in a query string."""
    return frozenset(name for name, info in model.model_fields.items() if _is_list(info.annotation))


def _is_list(annotation: Any) -> bool:
    if typing.get_origin(annotation) is list:
        return True
    return any(_is_list(part) for part in typing.get_args(annotation))


def _path_model(route: Route) -> type[BaseModel] | None:
    """Return a model of the address's parameters, for the document only: the router has read them already."""
    found = PARAMETER.findall(route.rule)
    if not found:
        return None
    fields: dict[str, Any] = {name: (int if kind == "id" else str, ...) for kind, name in found}
    return create_model(f"{route.handler.__name__}_path", **fields)


def begin_request() -> None:
    """Give the request an id: the client's own when it is plain, else a new one."""
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else secrets.token_hex(8)


def install(app: Flask) -> None:
    """Let every request begin with an id."""
    app.before_request(begin_request)
