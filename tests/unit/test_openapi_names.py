"""The OpenAPI document is not made when two answers would share a name in it: who reads it would get one for the other."""

from __future__ import annotations

import pytest
from typing_extensions import TypedDict

from api.http.document import openapi
from api.http.nodes import schema
from api.http.routing import ApiCall, Routes
from scheduler.identity import Role

routes = Routes("twice")
NodeView = TypedDict("NodeView", {"other": int})  # noqa: UP013  a second class of that name, with other fields


@routes.get("/one/", role=Role.VIEWER, answers={200: schema.NodeView})
@routes.get("/two/", role=Role.VIEWER, answers={200: schema.NodeView})
def of_one_kind(_call: ApiCall) -> None:
    """Two addresses answer the same."""


again = Routes("again")


@again.get("/three/", role=Role.VIEWER, answers={200: NodeView})
def of_another_kind(_call: ApiCall) -> None:
    """And a third another thing of that name."""


def test_two_answers_of_one_name_are_refused_by_that_name() -> None:
    """As it happened: two kinds of counts of nodes, of two nouns, both called NodeCounts."""
    with pytest.raises(ValueError, match=r"two schemas have the same name: .*NodeView"):
        openapi.document_of([routes, again], "1.0")


def test_an_answer_that_two_routes_give_is_one() -> None:
    assert "NodeView" in openapi.document_of([routes], "1.0")["components"]["schemas"]
