"""Signed links: good as they were made, however a client writes them anew, and for nothing else and no longer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.application import create_app
from api.http import api_runtime, routing
from api.http.links import signed
from api.http.routing import ApiCall, Routes
from scheduler import keyring, runtime
from scheduler.errors import ServiceUnavailable
from scheduler.runtime import Runtime
from scheduler.settings import Settings

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD, NEW = token_urlsafe(32), token_urlsafe(32)
NAME = "a b+c&d=e/ü:%41"

routes = Routes("links")


@routes.get("/thing/<name>", role="public", any_query=True)
def read_thing(call: ApiCall, name: str) -> Any:
    """What a link gives."""
    return {"name": name, "values": signed.check(call.rt, signed.READ, ["title"])}


@routes.put("/thing/<name>", role="public", any_query=True)
def write_thing(call: ApiCall, name: str) -> Any:
    """What a link takes."""
    return {"name": name, "values": signed.check(call.rt, signed.WRITE)}


class Links:
    """Links of an application without a database, which no link needs."""

    def __init__(self, keys: str = OLD, **settings: Any) -> None:
        chosen = Settings(**settings)
        engine = runtime.connect("postgresql://nobody@127.0.0.1:1/none", chosen)
        self.now = NOON
        ring = keyring.parse(keys, "a test") if keys else keyring.NO_KEYS
        self.rt = Runtime(engine, chosen, lambda: self.now, random.Random(1).random, keyring=ring)
        self.app = create_app(self.rt, background=False)
        routing.mount(self.app, routes)

    def turn(self, keys: str) -> None:
        self.rt = replace(self.rt, keyring=keyring.parse(keys, "a test"))
        api_runtime.of(self.app).rt = self.rt

    def make(self, path: str = "/thing/x", methods: signed.MethodClass = signed.READ, **named: Any) -> str:
        with self.app.test_request_context("/", headers={"Host": "127.0.0.1:8470"}):
            return signed.link(self.rt, methods, path, **named)

    def status(self, address: str, method: str = "GET") -> int:
        return int(self.app.test_client().open(address, method=method).status_code)


@pytest.fixture(scope="module")
def links() -> Links:
    return Links()


def rewritten(address: str, change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> str:
    parts = urlsplit(address)
    return parts._replace(query=urlencode(change(parse_qsl(parts.query, keep_blank_values=True)))).geturl()


def test_a_link_is_good_as_it_was_made(links: Links) -> None:
    assert links.status(links.make()) == 200
    assert links.status(links.make(methods=signed.WRITE), "PUT") == 200
    assert links.status(links.make(), "HEAD") == 200


def test_a_client_may_write_a_link_anew_and_put_its_own_behind(links: Links) -> None:
    address = links.make(methods=signed.WRITE)
    bare = address.replace("%3A", ":")
    assert bare != address
    own = [("comp", "block"), ("blockid", "MDAwMA=="), ("timeout", "30")]
    assert links.status(bare, "PUT") == 200
    assert links.status(rewritten(address, lambda pairs: [*pairs, *own]), "PUT") == 200
    assert links.status(rewritten(bare, lambda pairs: [*own, *reversed(pairs)]), "PUT") == 200


def test_values_come_back_decoded_and_only_if_the_link_was_made_with_them(links: Links) -> None:
    with_title = links.make(quoted(NAME), values={"title": NAME})
    assert answer(links, with_title) == {"name": NAME.replace("/", "-"), "values": {"title": NAME}}
    assert answer(links, rewritten(with_title, lambda pairs: pairs[::-1]))["values"] == {"title": NAME}
    assert answer(links, links.make())["values"] == {}
    assert links.status(links.make() + "&title=mine") == 403
    assert links.status(with_title + "&title=mine") == 403
    assert links.status(rewritten(with_title, lambda pairs: [pair for pair in pairs if pair[0] != "title"])) == 403


def quoted(name: str) -> str:
    return f"/thing/{name.replace('/', '-')}"


def answer(links: Links, address: str) -> Any:
    sent = links.app.test_client().get(address)
    assert sent.status_code == 200, sent.text
    return sent.json


@pytest.mark.parametrize("name", signed.OWN)
@pytest.mark.parametrize("change", ["other", "again", "without", "empty"])
def test_an_altered_link_is_refused(links: Links, name: str, change: str) -> None:
    def altered(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        value = dict(pairs)[name]
        others = [pair for pair in pairs if pair[0] != name]
        new = {
            "other": [f"{value[:-2]}{'Ab' if value[-2:] != 'Ab' else 'cD'}"],
            "again": [value, value],
            "without": [],
            "empty": [""],
        }
        return [*others, *((name, one) for one in new[change])]

    refused = links.app.test_client().get(rewritten(links.make(), altered))
    assert (refused.status_code, (refused.json or {})["kind"]) == (403, "forbidden")


def test_a_link_is_for_its_path_and_its_class_of_methods_alone(links: Links) -> None:
    assert links.status(links.make().replace("/thing/x", "/thing/y")) == 403
    assert links.status(links.make(), "PUT") == 403
    assert links.status(links.make(methods=signed.WRITE)) == 403
    assert links.status(links.make().replace("sp=read", "sp=write"), "PUT") == 403


def test_a_link_ends_when_it_says(links: Links) -> None:
    address = links.make(good_for_s=100)
    try:
        links.now = NOON + timedelta(seconds=99)
        assert links.status(address) == 200
        links.now = NOON + timedelta(seconds=100)
        assert links.status(address) == 403
        assert links.status(address.replace("2026", "2036")) == 403
    finally:
        links.now = NOON


def test_links_of_older_keys_are_good_until_the_key_is_gone() -> None:
    links = Links(OLD)
    before = links.make()
    links.turn(f"{NEW} {OLD}")
    assert links.status(before) == 200
    assert dict(parse_qsl(urlsplit(links.make()).query))["sk"] != dict(parse_qsl(urlsplit(before).query))["sk"]
    links.turn(NEW)
    assert links.status(before) == 403


def test_an_api_without_a_key_hands_out_no_link() -> None:
    links = Links("")
    with pytest.raises(ServiceUnavailable, match="GANGER_SECRETS_KEY"):
        links.make()
    assert links.status("/thing/x?se=2030-01-01T00:00:00Z&sp=read&sk=00000000&sig=") == 403


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        ({}, "http://127.0.0.1:8470/"),
        ({"public_url": "https://ganger.example/base/"}, "https://ganger.example/base/"),
        (
            {"public_url": "https://ganger.example", "public_file_url": "https://files.example"},
            "https://files.example/",
        ),
    ],
)
def test_links_begin_as_the_settings_say(settings: dict[str, str], root: str) -> None:
    assert Links(**settings).make().startswith(f"{root}thing/x?")


@given(st.text(min_size=1, max_size=40).filter(lambda text: "/" not in text and "\0" not in text), st.text(max_size=40))
def test_any_name_and_value_survives_being_written_anew(links: Links, name: str, title: str) -> None:
    if any("\ud800" <= one <= "\udfff" for one in name + title) or name in {".", ".."}:
        return
    address = links.make(f"/thing/{name}", values={"title": title})
    anew = rewritten(address, lambda pairs: [*sorted(pairs), ("comp", quote(title))])
    assert answer(links, anew) == {"name": name, "values": {"title": title}}
