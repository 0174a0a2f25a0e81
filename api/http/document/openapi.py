"""The OpenAPI document: made from the routes, put in order, the same bytes every time.

It is made when code has changed (`python -m tests.support.generated`) and kept in `openapi.json`, from where `served` hands it out:
a process that serves requests imports nothing of this.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import orjson
from flask_openapi import Info, OpenAPI
from flask_openapi.models import SecurityScheme
from pydantic import BaseModel, create_model

from api.http.blobs.schema import UploadState
from api.http.document.answer_types import REFERENCE, AnswerType, JsonSchema, response
from api.http.document.answer_types import schemas as answer_schemas
from api.http.executions.log_answer_schema import LogView
from api.http.jobs.schema import JobsBody
from api.http.routing import CONVERTERS, Route, Routes
from api.http.schema.answers import Problem
from api.http.schema.fields import SchemaModel
from scheduler.identity import Role

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")

TITLE = "Ganger"
ABOUT = """Submit jobs, watch them, cancel them; see and steer the machines they run on.

Every list answers `count`, `next`, `previous` and `results`. Errors are JSON; on the paths under `/jobs/` a client that
does not ask for JSON gets the sentence as text. Amounts are cpus, MiB and pieces, durations seconds, times UTC."""

SECURITY = {"token": SecurityScheme(type="http", scheme="bearer", description="a token made by an administrator")}

UNDECLARED: tuple[AnswerType, ...] = (Problem, LogView, UploadState)
"""Answers of every route, and of those that describe their answers by themselves."""

NAMES = {
    "CheckFinding": "Finding",
    "ConstraintBody": "Constraint",
    "DriverShareBody": "DriverShare",
    "HealthAnswer": "Health",
    "JobExplanation": "Explanation",
    "JobTypeName": "TypeRef",
    "LeaveBody": "Leave",
    "NodeTemplateBody": "NodeTemplate",
    "PreferenceBody": "Preference",
}
"""Classes that the document calls otherwise: clients know the names on the right, which stand for other things in our code."""

FAILURES = {
    "400": "The request is malformed or cannot be fulfilled as it is; the sentence names the field.",
    "401": "No valid token.",
    "403": "The token's role does not allow this.",
    "404": "There is no such thing, or it belongs to another project.",
    "409": "The state of the thing forbids this.",
    "410": "The thing was there, and is kept no longer.",
    "413": "The body is too large, or has too many entries.",
    "415": "The body has another media type than this address takes.",
    "429": "Too much at once; try again after Retry-After seconds.",
    "503": "A server that is needed cannot be reached; try again after Retry-After seconds.",
}


def document_of(nouns: Iterable[Routes], release: str) -> JsonSchema:
    """Return the document of all routes of these nouns. Raises ValueError if two of their types share a name."""
    app = OpenAPI(
        "ganger",
        info=Info(title=TITLE, version=release, description=ABOUT),
        security_schemes=SECURITY,
        responses={404: response(404, Problem)},
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.converters |= CONVERTERS
    answers: list[AnswerType] = []
    for route in (one for routes in nouns for one in routes.all):
        _describe(app, route)
        answers += route.answers.values()
    app.openapi_version = "3.1.0"
    app.generate_spec_json()
    return _in_order(app, answers)


def _describe(app: OpenAPI, route: Route) -> None:
    declare = getattr(app, route.method.lower())
    declare(
        route.rule,
        tags=[{"name": route.tag}],
        operation_id=route.handler.__name__,
        responses={status: response(status, answer) for status, answer in route.answers.items()},
        security=[] if route.role == "public" else [{"token": []}],
        openapi_extensions={
            "x-role": route.role.name.lower() if isinstance(route.role, Role) else route.role,
            "x-orders": list(route.orders),
        },
        endpoint=f"{route.method} {route.rule}",
        **({"request_body": dict(route.request_body)} if route.request_body else {}),
    )(_signature(route))


def _signature(route: Route) -> Callable[..., None]:
    """Return a function that has the name, the text and the models of a route, which the document is made from; nobody calls it."""

    def signature() -> None:
        return None

    hints = typing.get_type_hints(route.handler)
    models = {
        "path": _path_model(route),
        "query": hints.get("query"),
        "body": hints.get("body"),
        "header": route.headers,
    }
    signature.__name__ = route.handler.__name__
    signature.__doc__ = inspect.getdoc(route.handler)
    signature.__annotations__ = {name: model for name, model in models.items() if model is not None}
    return signature


def _path_model(route: Route) -> type[BaseModel] | None:
    """Return a model of the address's parameters."""
    parameters = PARAMETER.findall(route.rule)
    if not parameters:
        return None
    fields: dict[str, typing.Any] = {name: (int if kind == "id" else str, ...) for kind, name in parameters}
    return create_model(f"{route.handler.__name__}_path", **fields)


def _in_order(app: OpenAPI, answers: Iterable[AnswerType]) -> JsonSchema:
    document: JsonSchema = orjson.loads(orjson.dumps(app.spec_json))
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
            _say_orders(operation)
    schemas = document["components"]["schemas"]
    schemas.pop("ValidationErrorModel", None)
    for model in _named(schemas):
        schema = model.model_json_schema(mode="validation", ref_template=REFERENCE)
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    of_answers = answer_schemas([*UNDECLARED, *answers])
    _refuse_duplicates(
        [*schemas, *(name for name in of_answers if name not in schemas or _is_record(of_answers[name]))]
    )
    schemas |= of_answers
    _tidy(document)
    document["components"]["schemas"] = {NAMES.get(name, name): schema for name, schema in sorted(schemas.items())}
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


def _is_record(schema: JsonSchema) -> bool:
    """Return whether a schema of an answer is that of a TypedDict; models may be sent and answered both."""
    return schema.get("additionalProperties") is True and "properties" in schema


def _refuse_duplicates(names: Sequence[str]) -> None:
    """Raise ValueError if two classes have one name in the document: clients are generated from it, and would mix them up.

    Of two answers with the same name pydantic makes names with the modules in them, and two underscores.
    """
    counts = Counter(NAMES.get(name, name) for name in names)
    twice = sorted(name for name, count in counts.items() if count > 1 or "__" in name)
    if twice:
        raise ValueError(f"two schemas have the same name: {', '.join(twice)}")


def _named(schemas: Collection[str]) -> Iterator[type[BaseModel]]:
    """Yield the models behind these schemas: pydantic says more of them than came through, such as what keys look like."""
    waiting: list[type[BaseModel]] = [SchemaModel, JobsBody]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if model.__name__ in schemas:
            yield model


def _complete(operation: JsonSchema) -> None:
    """Add the failures that every operation shares; public ones know fewer."""
    answers = operation["responses"]
    answers.pop("422", None)
    needs_token = bool(operation.get("security"))
    for status, meaning in FAILURES.items():
        if needs_token or status not in {"401", "403"}:
            answers.setdefault(status, _failure(meaning))
    operation["responses"] = dict(sorted(answers.items()))


def _say_orders(operation: JsonSchema) -> None:
    """Write the words that a list can be ordered by into its parameter."""
    orders = operation.pop("x-orders", None)
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "order" and orders:
            words = [word for name in orders for word in (name, f"-{name}")]
            parameter["schema"]["items"] = {"type": "string", "enum": words}


def _failure(meaning: str) -> JsonSchema:
    return {
        "description": meaning,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }


def _tidy(value: object) -> None:
    """Put right what pydantic writes otherwise than the document has it, in a part of the document and all parts within."""
    if isinstance(value, list):
        for child in value:
            _tidy(child)
    if not isinstance(value, dict):
        return
    value.pop("$defs", None)  # copies of schemas that stand under components already
    if value.get("default", ...) is None:  # of a field that may be left out, but not be null
        del value["default"]
    if "patternProperties" in value:  # keys that do not match are refused, not ignored
        value.setdefault("additionalProperties", False)
    if isinstance(title := value.get("title"), str):
        value["title"] = NAMES.get(title, title)
    if isinstance(target := value.get("$ref"), str):
        start, _, name = target.rpartition("/")
        value["$ref"] = f"{start}/{NAMES.get(name, name)}"
    for child in value.values():
        _tidy(child)
