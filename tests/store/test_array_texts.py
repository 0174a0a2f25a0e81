"""Arrays of texts and numbers arrive as they were sent, whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.support.cluster import Cluster

_TRICKY = [
    "",
    "NULL",
    "null",
    '"',
    "\\",
    '\\"',
    "{}",
    ",",
    " ",
    "a b",
    "ü\N{SNOWMAN}\U0001f600",
    "\n\t",
    '{"a": "b\\\\\\"c"}',
]


def _back(cluster: Cluster, kind: str, sent: list[Any]) -> list[Any]:
    with cluster.rt.db.connect() as tx:
        return list(tx.execute(text(f"SELECT CAST(:sent AS {kind}[])"), {"sent": sent}).scalar_one())


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("text", _TRICKY),
        ("text", [None, *_TRICKY, None]),
        ("text", [None, None]),
        ("text", []),
        ("bigint", [0, -1, 7, 2**62]),
        ("bigint", [1, None, 3]),
        ("boolean", [True, False]),
        ("float8", [1.5, -0.25]),
        ("bytea", [b"\0\\x", b""]),
        ("text", [["a", '"'], ["\\", "b"]]),
    ],
)
def test_an_array_arrives_as_it_was_sent(cluster: Cluster, kind: str, sent: list[Any]) -> None:
    assert _back(cluster, kind, sent) == sent


def test_any_texts_arrive_as_they_were_sent(cluster: Cluster) -> None:
    texts = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=8)

    @given(texts)
    def arrive(sent: list[str | None]) -> None:
        assert _back(cluster, "text", sent) == sent

    arrive()


def test_documents_arrive_as_they_were_sent(cluster: Cluster) -> None:
    with cluster.rt.db.connect() as tx:
        found = tx.execute(
            text("SELECT CAST(:sent AS jsonb[])"), {"sent": ['{"a": "\\"\\\\"}', None, "[1]"]}
        ).scalar_one()
    assert found == [{"a": '"\\'}, None, [1]]


def test_a_text_with_nul_is_refused_as_the_driver_refuses_it(cluster: Cluster) -> None:
    with pytest.raises(DBAPIError, match="NUL"):
        _back(cluster, "text", ["a", "b\0"])
