"""The change feed: no job is missed, whatever order transactions commit in and wherever a page ends."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from scheduler.feed.change_feed import ChangeFeed
from scheduler.store.feed import changes
from scheduler.store.feed.changes import FeedPosition
from tests.support.api import Api

_TOUCH = text("UPDATE jobs SET moved_xid = pg_current_xact_id(), last_status_change = now() WHERE id = ANY(:ids)")


@contextmanager
def reading(api: Api) -> Iterator[Connection]:
    with api.rt.db.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def begin(api: Api) -> FeedPosition:
    with reading(api) as tx:
        return changes.now(tx)


def read_all(api: Api, position: FeedPosition, size: int = 100) -> tuple[list[int], FeedPosition]:
    """Everything after a position, page by page, through the text that clients are given."""
    found: list[int] = []
    with reading(api) as tx:
        while True:
            page = changes.read(tx, position, size)
            found += [job.id for job in page.jobs]
            written = changes.read_position(page.position.written())
            assert written == page.position
            position = page.position
            if page.is_all:
                return found, position


def some_jobs(api: Api, count: int) -> list[int]:
    body = [{"command": ["true"]} for _ in range(count)]
    return list(api.post("/jobs/", body).json["job_ids"])


def test_a_feed_begins_empty_and_has_what_was_made_and_moved_since(api: Api) -> None:
    old = some_jobs(api, 2)
    position = begin(api)
    assert read_all(api, position)[0] == []
    new = some_jobs(api, 3)
    api.patch(f"/jobs/{old[0]}/", {"status": "CANCELED"})
    found, position = read_all(api, position)
    assert found == [*new, old[0]]
    assert read_all(api, position)[0] == []


def test_a_transaction_that_commits_late_is_read_when_it_does(api: Api) -> None:
    first, second, third = some_jobs(api, 3)
    position = begin(api)
    with api.rt.db.connect() as late:
        late.execute(_TOUCH, {"ids": [first]})
        with api.rt.db.begin() as early:
            early.execute(_TOUCH, {"ids": [second]})
        found, position = read_all(api, position)
        assert found == [second]
        with api.rt.db.begin() as early:
            early.execute(_TOUCH, {"ids": [third]})
        found, position = read_all(api, position)
        assert found == [third]
        late.commit()
    assert read_all(api, position)[0] == [first]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_open_when_a_page_ends_every_change_is_read_just_once(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    ids = some_jobs(api, 60)
    position = begin(api)
    expected, found = set[int](), list[int]()
    left, open_ones = [*ids], list[Connection]()
    while left or open_ones:
        if left and (len(open_ones) < 5 or chance.random() < 0.4):
            some = [left.pop() for _ in range(min(len(left), chance.randint(1, 7)))]
            connection = api.rt.db.connect()
            connection.execute(_TOUCH, {"ids": some})
            open_ones.append(connection)
            expected.update(some)
        else:
            connection = open_ones.pop(chance.randrange(len(open_ones)))
            connection.commit()
            connection.close()
        if chance.random() < 0.7:
            with reading(api) as tx:
                page = changes.read(tx, position, chance.randint(1, 5))
            found += [job.id for job in page.jobs]
            position = page.position
    found += read_all(api, position, size=3)[0]
    assert sorted(found) == sorted(expected)


def test_after_a_restart_of_the_database_the_feed_goes_back_and_misses_nothing(api: Api) -> None:
    old = some_jobs(api, 1)
    api.change("UPDATE jobs SET last_status_change = now() - interval '1 hour' WHERE id = :id", id=old[0])
    recent = some_jobs(api, 2)
    position = replace(begin(api), life="another", xid=10**12)
    found, position = read_all(api, position)
    assert set(recent) <= set(found)
    assert old[0] not in found
    assert read_all(api, position)[0] == []


@pytest.mark.parametrize(
    "text_",
    [
        "",
        "x",
        "!!!!",
        "bnVsbA",
        "W10",
        "WzEsMiwzLDQsNSw2XQ",
        "WyJhIiwxLjAsLTEsMCxbXSxudWxsXQ",
        "WyJhIiwxLjAsMSwwLFsieCJdLG51bGxd",
    ],
)
def test_what_is_no_cursor_is_refused_by_its_field(api: Api, text_: str) -> None:
    answer = api.get("/jobs/changes/", after=text_)
    assert answer.status_code == 400
    assert answer.json["field"] == "after"


def test_a_feed_that_nobody_has_any_more_holds_no_descriptor(api: Api) -> None:
    feeds = [ChangeFeed(api.rt) for _ in range(20)]
    held = len(list(Path("/proc/self/fd").iterdir()))
    feeds.clear()
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= held - 40
