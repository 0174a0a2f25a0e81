"""The OpenAPI document is not made when two answers would share a name in it: who reads it would get one for the other."""

from __future__ import annotations

import pytest
from typing_extensions import TypedDict

from api.http import app as composed
from api.http.document import openapi
from api.http.nodes import schema


def test_two_answers_of_one_name_are_refused_by_that_name() -> None:
    """As it happened: two kinds of counts of nodes, of two nouns, both called NodeCounts."""
    NodeView = TypedDict("NodeView", {"other": int})  # noqa: UP013  a second class of that name, with other fields
    with pytest.raises(ValueError, match=r"two schemas have the same name: .*NodeView"):
        openapi.install(composed.bare_app(), [schema.NodeView, NodeView])


def test_an_answer_that_two_routes_give_is_one() -> None:
    app = composed.bare_app()
    openapi.install(app, [schema.NodeView, schema.NodeView])
    assert "NodeView" in openapi.of(app)["components"]["schemas"]
