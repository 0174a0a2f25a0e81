"""What dialects share: whatever goes wrong on a dialect's address is told in its form, and lists are of two kinds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from api.application import with_dialects
from api.dialects import paging, problems
from api.dialects.dialect import Dialect
from api.dialects.paging import OffsetPage, OffsetQuery
from api.http import app
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import Body
from scheduler import runtime
from scheduler.errors import Conflict, NotFound
from scheduler.identity import Role
from scheduler.runtime import Runtime
from scheduler.settings import Settings
from tests.support.documented import broken_inside


class Word(Body):
    """A body with one field."""

    word: str


routes = Routes("words")


@routes.get("/words", role=Role.VIEWER)
def guarded(_call: ApiCall) -> Any:
    """What needs a token."""
    return {}


@routes.post("/words", role="public")
def say(_call: ApiCall, body: Word) -> Any:
    """One word."""
    return {"word": body.word}


@routes.get("/words/<word>", role="public", any_query=True)
def fail(_call: ApiCall, word: str) -> Any:
    """A word that something is wrong with."""
    raise {"missing": NotFound("there is no such word"), "taken": Conflict("it is taken")}.get(word, RuntimeError(word))


@routes.get("/words/numbers/", role="public")
def numbers(_call: ApiCall, query: OffsetQuery) -> OffsetPage[int]:
    """A part of two hundred and fifty numbers."""
    return paging.part(query, range(250))


@routes.get("/words/all/<int:count>", role="public")
def everything(_call: ApiCall, count: int) -> Any:
    """All numbers there are."""

    def found() -> Iterator[dict[str, int]]:
        for number in range(count):
            yield {"number": number}
        if count == 0:
            raise NotFound("there is none")

    return paging.whole(found())


def an_app(problem_form: Any, **settings: Any) -> Flask:
    chosen = Settings(**settings)
    engine = runtime.connect("postgresql://nobody@127.0.0.1:1/none", chosen)
    rt = Runtime(engine, chosen, runtime.utc_now, random.Random(1).random)
    form = problem_form(problems.beneath("/words"))
    return with_dialects(app.create_app(rt, background=False), [Dialect("words", [routes], form)])


FAILURES: list[tuple[int, str, str, dict[str, Any]]] = [
    (400, "POST", "/words", {"json": {"wort": "x"}}),
    (400, "POST", "/words", {"data": b"{", "content_type": "application/json"}),
    (401, "GET", "/words", {}),
    (403, "GET", "/words", {"headers": {"Host": "evil.example"}}),
    (404, "GET", "/words/missing", {}),
    (404, "GET", "/words/none/at/all", {}),
    (404, "DELETE", "/words/none/at/all", {}),
    (405, "DELETE", "/words", {}),
    (409, "GET", "/words/taken?whatever=1", {}),
    (413, "POST", "/words", {"data": b" " * 3_000_000, "content_type": "application/json"}),
    (415, "POST", "/words", {"data": b"word=x", "content_type": "text/plain"}),
    (415, "POST", "/words", {"data": b"{}", "headers": {"Content-Encoding": "gzip"}}),
    (500, "GET", "/words/other", {}),
]


@pytest.fixture(scope="module")
def described() -> Flask:
    return an_app(problems.described)


@pytest.fixture(scope="module")
def titled() -> Flask:
    return an_app(problems.titled)


@pytest.mark.parametrize(("status", "method", "path", "sent"), FAILURES)
def test_every_error_on_a_dialects_address_has_its_form(
    described: Any, titled: Any, status: int, method: str, path: str, sent: dict[str, Any]
) -> None:
    status = 400 if status == 403 else status
    with broken_inside():
        short = described.test_client().open(path, method=method, **sent)
        long = titled.test_client().open(path, method=method, **sent)
    assert short.status_code == long.status_code == status
    assert short.content_type == long.content_type == "application/json"
    assert set(short.json) == {"code", "name", "description"}
    assert (short.json["code"], long.json["status"]) == (status, status)
    assert {"type", "title", "status", "detail"} <= set(long.json)
    assert not {"errors", "msg"} & set(long.json)
    assert long.json["type"].startswith("urn:ganger:problems/")
    assert short.json["description"] == long.json["detail"]
    assert short.json["name"] == long.json["title"]


def test_who_asks_too_often_is_told_in_the_dialects_form() -> None:
    made = an_app(problems.titled, limit_requests=True, broker_url=None, requests_per_address=1)
    answers = [made.test_client().get("/words/missing", environ_base={"REMOTE_ADDR": "203.0.113.7"}) for _ in range(3)]
    assert answers[-1].status_code == (answers[-1].json or {})["status"] == 429
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_other_addresses_keep_their_own_form(described: Any) -> None:
    for path in ("/wordsmith", "/nothing", "/version/none"):
        assert "kind" in described.test_client().get(path).json


def test_a_list_with_offset_and_limit_says_how_many_there_are(titled: Any) -> None:
    client = titled.test_client()
    first = client.get("/words/numbers/").json
    assert (first["count"], first["limit"], first["offset"], first["total"]) == (100, 100, 0, 250)
    last = client.get("/words/numbers/?offset=240&limit=20").json
    assert (last["count"], last["results"], last["total"]) == (10, [*range(240, 250)], 250)
    assert client.get("/words/numbers/?offset=250").json["results"] == []
    for wrong in ("offset=-1", "limit=0", "limit=101", "limit=x", "offset=1.5", "offset=99999999999999999999"):
        refused = client.get(f"/words/numbers/?{wrong}")
        assert (refused.status_code, refused.json["faults"][0]["field"]) == (400, wrong.partition("=")[0])


def test_a_bare_list_is_whole_and_fails_before_it_begins(titled: Any) -> None:
    client = titled.test_client()
    assert client.get("/words/all/1").json == [{"number": 0}]
    assert [one["number"] for one in client.get("/words/all/20000").json] == [*range(20_000)]
    assert client.get("/words/all/0").status_code == 404
