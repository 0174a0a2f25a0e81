"""Answers are declared once: what a route says it returns is what the document says it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from flask import Response

from api.http import app
from api.http.answers import Answer
from api.http.routing import Route
from api.http.schema.answers import Problem
from tests.support.generated import openapi_document

ROUTES = [route for noun in app.NOUNS for route in noun.routes.all]


def returned(route: Route) -> set[object]:
    """The types of the bodies that a handler returns; a response that it makes itself is none of them."""
    annotation = get_type_hints(route.handler)["return"]
    parts = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    bodies = [get_args(part)[0] if get_origin(part) is Answer else part for part in parts]
    return {one for body in bodies for one in (get_args(body) if isinstance(body, UnionType) else (body,))}


def declared(route: Route) -> set[object]:
    """The types of what the handler itself answers: problems are written by one place for all routes."""
    types = [answer for answer in route.answers.values() if not isinstance(answer, Mapping) and answer is not Problem]
    return {one for answer in types for one in (get_args(answer) if isinstance(answer, UnionType) else (answer,))}


def names_its_answers(route: Route) -> bool:
    return not any(isinstance(answer, Mapping) for answer in route.answers.values()) and declared(route) != {None}


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if names_its_answers(one)], ids=lambda route: route.handler.__name__
)
def test_a_route_returns_what_the_document_says_it_answers(route: Route) -> None:
    assert returned(route) == declared(route)


def test_what_the_document_describes_by_itself_is_a_response_or_has_no_body() -> None:
    others = {route.handler.__name__: returned(route) for route in ROUTES if not names_its_answers(route)}
    plain = {name for name, types in others.items() if types <= {Response, type(None), None}}
    assert set(others) - plain == {"show_log", "openapi", "node_output", "node_leave"}


def test_no_two_types_of_the_document_share_a_name() -> None:
    """Pydantic writes the module before the names of types that would be called the same."""
    schemas = openapi_document()["components"]["schemas"]
    assert not [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]*", name)]
