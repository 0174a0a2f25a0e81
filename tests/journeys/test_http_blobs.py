"""Content by links: whole, in blocks of any order and number, in ranges; what is cut off, too much, altered or hostile is refused."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.http.links import blobs, signed
from scheduler.uploads import content, sweep
from tests.support.api import Api
from tests.support.uploads import (
    awaiting,
    block_id,
    listed,
    look,
    put,
    put_block,
    put_list,
    send,
    sha256,
    signing,
    stored,
    tell,
    url_of,
)

LIMIT = 100_000


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    with signing(database_url, tmp_path, max_upload=LIMIT) as made:
        yield made


def content_of(api: Api, job: Any) -> bytes:
    """What the job has got, told that it is uploaded."""
    queued = tell(api, job)
    assert queued["status"] == "QUEUED", queued["message"]
    return bytes(api.get(f"/files/{queued['inputs'][0]['value']['id']}/content/").data)


def test_blocks_come_in_any_order_and_the_list_says_which_counts(api: Api) -> None:
    job = awaiting(api)
    url = url_of(job)
    for number, body in ((20, b"third"), (0, b"first"), (10, b"second"), (30, b"not listed")):
        assert (put_block(api, url, number, body).status_code, put_block(api, url, number, body).data) == (201, b"")
    answer = put_list(api, url, [0, 10, 20])
    assert (answer.status_code, answer.data) == (201, b"")
    assert content_of(api, job) == b"firstsecondthird"


def test_a_block_that_comes_again_takes_the_place_of_the_first(api: Api, tmp_path: Path) -> None:
    job = awaiting(api)
    url = url_of(job)
    for body in (b"one", b"two", b"three"):
        put_block(api, url, 0, body)
    assert len(stored(tmp_path)) == 1
    put_list(api, url, [0])
    assert content_of(api, job) == b"three"


def test_an_empty_list_is_an_empty_file(api: Api) -> None:
    job = awaiting(api)
    assert put_list(api, url_of(job), []).status_code == 201
    assert content_of(api, job) == b""


@pytest.mark.parametrize("word", ["Latest", "Uncommitted", "Committed"])
def test_a_list_is_taken_with_each_of_its_words(api: Api, word: str) -> None:
    job = awaiting(api)
    put_block(api, url_of(job), 0, b"x")
    sent = send(api, "PUT", url_of(job), listed([0, 0], word), query={"comp": "blocklist"})
    assert (sent.status_code, content_of(api, job)) == (201, b"xx")


def test_a_list_that_names_a_missing_block_is_refused_and_changes_nothing(api: Api, tmp_path: Path) -> None:
    job = awaiting(api)
    put(api, url_of(job), b"before")
    put_block(api, url_of(job), 0, b"x")
    before = stored(tmp_path)
    refused = put_list(api, url_of(job), [0, 7])
    assert (refused.status_code, block_id(7) in refused.json["description"]) == (400, True)
    assert (look(api, job)["awaits"][0]["sha256"], stored(tmp_path)) == (None, before)
    assert look(api, job)["awaits"][0]["size"] == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<BlockList>",
        b"<List><Latest>a</Latest></List>",
        b"<BlockList><Other>a</Other></BlockList>",
        b"<BlockList><Latest><Latest>a</Latest></Latest></BlockList>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><BlockList><Latest>&a;</Latest></BlockList>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><BlockList/>',
        b"<BlockList><Latest>" + b"x" * 5000 + b"</Latest></BlockList>",
        b"<BlockList>" + b"<Latest/>" * 50_001 + b"</BlockList>",
        b'<?xml version="1.0" encoding="klingon"?><BlockList/>',
        b"\xff\xfe<\x00",
    ],
)
def test_what_is_no_block_list_is_refused(api: Api, body: bytes) -> None:
    job = awaiting(api)
    refused = send(api, "PUT", url_of(job), body, query={"comp": "blocklist"})
    assert (refused.status_code, look(api, job)["awaits"][0]["size"]) == (400, None)


def test_the_same_list_may_be_sent_again_with_and_without_its_blocks(api: Api, tmp_path: Path) -> None:
    job = awaiting(api)
    url = url_of(job)
    for number in range(3):
        put_block(api, url, number, b"%d" % number)
    assert [put_list(api, url, [2, 0, 1]).status_code for _ in range(3)] == [201] * 3
    assert len(stored(tmp_path)) == 1
    put_block(api, url, 1, b"new")
    assert put_list(api, url, [1, 2]).status_code == 201
    assert put_list(api, url, [0, 1, 2]).status_code == 400
    assert (content_of(api, job), len(stored(tmp_path))) == (b"new2", 1)


def test_what_has_come_so_far_can_be_asked_for(api: Api) -> None:
    job = awaiting(api)
    put_block(api, url_of(job), 4, b"four")
    put_block(api, url_of(job), 1, b"1")
    state = send(api, "GET", url_of(job), query={"comp": "blocklist"}).json
    assert state["blocks"] == [{"id": block_id(4), "size": 4}, {"id": block_id(1), "size": 1}]
    assert (state["max_size"], state["size"]) == (LIMIT, None)


def test_more_than_is_allowed_is_refused_and_nothing_kept(api: Api, tmp_path: Path) -> None:
    job = awaiting(api, {"name": "table", "max_size": 10})
    url = url_of(job)
    assert put(api, url, b"x" * 11).status_code == 413
    assert send(api, "PUT", url, b"x" * 11, query={"comp": "block", "blockid": "a"}).status_code == 413
    assert (stored(tmp_path), look(api, job)["awaits"][0]["size"]) == (set(), None)
    assert put(api, url, b"x" * 10).status_code == 201
    assert [put_block(api, url, number, b"x" * 6).status_code for number in (0, 1, 0)] == [201, 413, 201]
    assert (put_list(api, url, [0, 0]).status_code, put_list(api, url, [0]).status_code) == (413, 201)
    assert content_of(api, job) == b"x" * 6


def test_a_body_that_streams_more_than_allowed_is_refused(api: Api, tmp_path: Path) -> None:
    job = awaiting(api, {"name": "table", "max_size": 10})
    streamed: dict[str, Any] = {
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_base": {"wsgi.input_terminated": True},
    }
    sent = send(api, "PUT", url_of(job), input_stream=io.BytesIO(b"x" * 12), **streamed)
    assert (sent.status_code, stored(tmp_path)) == (413, set())
    assert send(api, "PUT", url_of(job), input_stream=io.BytesIO(b"x" * 9), **streamed).status_code == 201


@pytest.mark.parametrize("change", ["path", "expiry", "signature", "class", "key"])
def test_an_altered_link_is_refused_for_every_method(api: Api, change: str) -> None:
    job = awaiting(api)
    url = url_of(job)
    parts = urlsplit(url)
    pairs = dict(parse_qsl(parts.query))
    other = {
        "expiry": ("se", "2099-01-01T00:00:00Z"),
        "signature": ("sig", "A" * 43),
        "class": ("sp", "read"),
        "key": ("sk", "0" * 8),
    }
    if change == "path":
        url = parts._replace(path=urlsplit(url_of(awaiting(api))).path).geturl()
    else:
        url = parts._replace(query=urlencode({**pairs, other[change][0]: other[change][1]})).geturl()
    assert [
        send(api, method, url, b"x" if method == "PUT" else None).status_code for method in ("PUT", "GET", "HEAD")
    ] == [403] * 3
    assert put_block(api, url, 0, b"x").status_code == 403
    assert look(api, job)["awaits"][0]["size"] is None


def test_an_expired_link_is_refused(api: Api) -> None:
    job = awaiting(api)
    with api.app.test_request_context("/"):
        old = signed.link(api.rt, signed.WRITE, urlsplit(url_of(job)).path, good_for_s=-1)
    refused = put(api, old, b"x")
    assert (refused.status_code, "expired" in refused.json["description"]) == (403, True)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"headers": {"Content-Encoding": "gzip"}}, 415),
        ({"headers": {"Content-Range": "bytes 0-1/4"}}, 400),
        ({"query": {"comp": "block"}}, 400),
        ({"query": {"comp": "block", "blockid": ""}}, 400),
        ({"query": {"comp": "block", "blockid": "x" * 300}}, 400),
        ({"query": {"comp": "block", "blockid": "a\x07"}}, 400),
        ({"query": {"comp": "page"}}, 400),
        ({"query": {"comp": "block", "blockid": "plain and unquoted+/="}}, 201),
        ({"query": {"timeout": "90", "x-unknown": "1"}}, 201),
    ],
)
def test_requests_that_are_not_meant_so_are_refused(api: Api, sent: Any, status: int) -> None:
    job = awaiting(api)
    assert send(api, "PUT", url_of(job), b"abcd", **sent).status_code == status


def test_a_put_without_a_length_is_refused(api: Api) -> None:
    job = awaiting(api)
    assert send(api, "PUT", url_of(job)).status_code == 411
    assert send(api, "PUT", url_of(job), b"").status_code == 201
    assert content_of(api, job) == b""


def test_addresses_that_are_none_are_refused(api: Api) -> None:
    for path in ("/blobs/x", "/blobs/00000000-0000-0000-0000-000000000000"):
        assert send(api, "PUT", path, b"x").status_code == send(api, "GET", path).status_code == 403
    with api.app.test_request_context("/"):
        gone = signed.link(api.rt, signed.READ, "/blobs/00000000-0000-0000-0000-000000000000")
    assert send(api, "GET", gone).status_code == 404


def a_download(api: Api, body: bytes) -> str:
    file = api.send("POST", "/files/", body, query={"file_name": "ünö.bin"}, content_type="image/png").json
    uuid = api.value("SELECT uuid FROM files WHERE id = :id", id=file["id"])
    with api.app.test_request_context("/"):
        return blobs.download_link(api.rt, uuid)


def test_a_download_has_its_length_and_ranges_and_tag(api: Api) -> None:
    body = bytes(range(256)) * 10
    url = a_download(api, body)
    head = send(api, "HEAD", url)
    assert (head.status_code, head.headers["Content-Length"], head.headers["Accept-Ranges"]) == (200, "2560", "bytes")
    whole = send(api, "GET", url)
    assert (whole.status_code, whole.data, whole.content_type) == (200, body, "image/png")
    part = send(api, "GET", url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, body[10:20], "bytes 10-19/2560")
    tag = head.headers["ETag"]
    assert send(api, "GET", url, headers={"Range": "bytes=0-0", "If-Range": tag}).status_code == 206
    assert send(api, "GET", url, headers={"Range": "bytes=0-0", "If-Range": '"other"'}).status_code == 200
    assert send(api, "GET", url, headers={"If-None-Match": tag}).status_code == 304
    assert send(api, "GET", url, headers={"Range": "bytes=9999-"}).status_code == 416
    assert send(api, "PUT", url, b"x").status_code == 403


def test_a_link_to_send_to_reads_nothing_and_the_file_is_read_at_the_same_address(api: Api) -> None:
    job = awaiting(api)
    put(api, url_of(job), b"secret")
    assert send(api, "GET", url_of(job)).status_code == send(api, "HEAD", url_of(job)).status_code == 403
    uuid = api.value("SELECT uuid FROM uploads")
    with api.app.test_request_context("/"):
        url = blobs.download_link(api.rt, uuid)
    assert send(api, "GET", url).status_code == 404
    tell(api, job)
    assert send(api, "GET", url).data == b"secret"
    file_id = look(api, job)["awaits"][0]["file_id"]
    api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
    assert api.delete(f"/files/{file_id}/").status_code == 204
    assert send(api, "GET", url).status_code == 404


def test_many_at_once_leave_one_content_and_no_other_file(api: Api, tmp_path: Path) -> None:
    job = awaiting(api)
    url = url_of(job)
    bodies = [b"%d" % number * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        whole = [*pool.map(lambda body: put(api, url, body).status_code, bodies)]
        pieces = [*pool.map(lambda number: put_block(api, url, number, b"%d" % number).status_code, [*range(6)] * 3)]
        lists = [*pool.map(lambda _: put_list(api, url, [*range(6)]).status_code, range(6))]
    assert {*whole, *pieces, *lists} == {201}
    assert content_of(api, job) == b"012345"
    sweep.sweep(api.rt)
    assert len(stored(tmp_path)) == 1


def test_it_is_told_by_many_at_once_and_queued_once(api: Api) -> None:
    job = awaiting(api)
    put(api, url_of(job), b"x")
    barrier = threading.Barrier(6)

    def told(_: int) -> str:
        barrier.wait(10)
        return str(tell(api, job)["status"])

    with ThreadPoolExecutor(6) as pool:
        assert {*pool.map(told, range(6))} == {"QUEUED"}
    assert api.value("SELECT count(*) FROM events WHERE event IN ('RECEIVE', 'READY')") == 2
    assert api.value("SELECT count(*) FROM files") == 1


def test_what_was_left_by_a_process_that_died_goes_when_the_upload_is_over(api: Api, tmp_path: Path) -> None:
    job = awaiting(api)
    put_block(api, url_of(job), 0, b"x")
    stage = next((tmp_path / "files" / "staged").iterdir())
    (stage / ".half.part").write_bytes(b"cut")
    (stage / "0123456789abcdef0123456789abcdef").write_bytes(b"never noted")
    put(api, url_of(job), b"whole")
    assert tell(api, job)["status"] == "QUEUED"
    sweep.sweep(api.rt)
    assert (len(stored(tmp_path)), sweep.sweep(api.rt)) == (1, 0)
    assert not [*(tmp_path / "files" / "staged").iterdir()]


def test_a_purged_job_leaves_nothing_of_its_uploads(api: Api, tmp_path: Path) -> None:
    job = awaiting(api)
    put_block(api, url_of(job), 0, b"x")
    api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
    api.change("DELETE FROM events WHERE job_id = :id", id=job["id"])
    api.change("DELETE FROM job_specs WHERE job_id = :id", id=job["id"])
    api.change("DELETE FROM jobs WHERE id = :id", id=job["id"])
    assert (sweep.sweep(api.rt), stored(tmp_path)) == (1, set())
    assert api.value("SELECT count(*) FROM uploads") == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.integers(0, 3), st.binary(max_size=3)),
        st.tuples(st.just("list"), st.lists(st.integers(0, 3), max_size=4)),
        st.tuples(st.just("whole"), st.binary(max_size=3)),
        st.tuples(st.just("look")),
    ),
    max_size=14,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, told=st.integers(1, 3), seed=st.integers(0, 9))
def test_any_order_and_repetition_gives_what_a_simple_model_gives(api: Api, steps: Any, told: int, seed: int) -> None:
    """Blocks not in a list are gone once it is taken; a list may name what an earlier one has joined; a whole forgets all blocks."""
    job = awaiting(api)
    url = url_of(job)
    blocks: dict[int, bytes] = {}
    whole: bytes | None = None
    chance = random.Random(seed)
    for step in steps:
        again = chance.choice([1, 1, 2])
        match step:
            case ("block", number, body):
                assert {put_block(api, url, number, body).status_code for _ in range(again)} == {201}
                blocks[number] = body
            case ("list", numbers):
                statuses = {put_list(api, url, numbers).status_code for _ in range(again)}
                if blocks.keys() >= set(numbers):
                    whole = b"".join(blocks[number] for number in numbers)
                    blocks = {number: blocks[number] for number in numbers}
                    assert statuses == {201}
                else:
                    assert statuses == {400}
            case ("whole", body):
                assert {put(api, url, body).status_code for _ in range(again)} == {201}
                whole, blocks = body, {}
            case _:
                url = url_of(look(api, job))
    ended = [tell(api, job)["status"] for _ in range(told)]
    assert set(ended) == {"FAILED" if whole is None else "QUEUED"}
    if whole is not None:
        assert api.get(f"/files/{look(api, job)['inputs'][0]['value']['id']}/content/").data == whole
        assert look(api, job)["inputs"][0]["value"]["sha256"] == sha256(whole)


def test_a_name_of_a_block_is_short_and_plain() -> None:
    with pytest.raises(Exception, match="printable"):
        content.check_block_name("x" * 257)
