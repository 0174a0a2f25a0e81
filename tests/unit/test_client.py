"""The Python client against a network that answers, breaks and lies; the API itself is in the journeys."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ganger import (
    Client,
    ClientError,
    Conflict,
    Denied,
    InvalidRequest,
    Job,
    JobRequest,
    NotFound,
    Refused,
    ServerTrouble,
    Unreachable,
)

Answer = httpx2.Response | Exception


class Network:
    """Gives the answers in order, the last one for ever; keeps what was asked."""

    def __init__(self, *answers: Answer | Callable[[httpx2.Request], Answer]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        return Client("http://ganger.test", "secret", http=httpx2.MockTransport(self), **options)


def job(**fields: Any) -> dict[str, Any]:
    return {"id": 7, "status": "QUEUED", "num_exes": 0, **fields}


def ok(body: Any, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def page(ids: list[int], following: str | None) -> httpx2.Response:
    return ok(
        {"count": 4, "count_exact": True, "next": following, "previous": None, "results": [job(id=one) for one in ids]}
    )


BROKEN = httpx2.ReadError("connection reset")
REFUSED = httpx2.ConnectError("[Errno 111] Connection refused")


def test_a_submission_that_broke_is_sent_again_with_the_same_key() -> None:
    network = Network(BROKEN, ok(job(), 201))
    with network.client() as ganger:
        assert ganger.jobs.submit(JobRequest(command=["true"])).id == 7
    keys = [request.headers["Idempotency-Key"] for request in network.asked]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert json.loads(network.asked[0].content) == {"command": ["true"]}


def test_two_submissions_have_different_keys() -> None:
    network = Network(ok(job(), 201))
    with network.client() as ganger:
        ganger.jobs.submit(JobRequest(command=["true"]))
        ganger.jobs.submit(JobRequest(command=["true"]))
    assert len({request.headers["Idempotency-Key"] for request in network.asked}) == 2


def test_a_key_of_ones_own_goes_into_the_header() -> None:
    network = Network(ok(job(), 201))
    with network.client() as ganger:
        ganger.jobs.submit(JobRequest(command=["true"], idempotency_key="mine"))
    assert network.asked[0].headers["Idempotency-Key"] == "mine"
    assert "idempotency_key" not in json.loads(network.asked[0].content)


def test_an_array_in_which_one_job_has_a_key_gets_one_for_every_job() -> None:
    network = Network(ok({"count": 2, "job_ids": [1, 2]}, 201))
    with network.client() as ganger:
        requests = [JobRequest(command=["a"], idempotency_key="mine"), JobRequest(command=["b"])]
        assert list(ganger.jobs.submit_many(requests)) == [1, 2]
    sent = json.loads(network.asked[0].content)
    assert sent[0]["idempotency_key"] == "mine"
    assert sent[1]["idempotency_key"]
    assert "Idempotency-Key" not in network.asked[0].headers


def test_a_call_that_must_not_happen_twice_is_not_repeated_once_it_was_sent() -> None:
    network = Network(BROKEN)
    with network.client() as ganger, pytest.raises(Unreachable):
        ganger.jobs.requeue([7])
    assert len(network.asked) == 1


def test_a_call_that_was_never_sent_is_repeated_whatever_it_is() -> None:
    network = Network(REFUSED, ok({"id": 1, "status": "RUNNING"}, 202))
    with network.client() as ganger:
        assert ganger.jobs.requeue([7]).status == "RUNNING"
    assert len(network.asked) == 2


def test_an_api_that_is_busy_for_a_moment_is_asked_again() -> None:
    network = Network(httpx2.Response(503, json={"description": "busy"}), ok(job()))
    with network.client() as ganger:
        assert ganger.jobs.get(7).status == "QUEUED"


def test_too_many_requests_is_asked_again_after_as_long_as_it_says_whatever_the_call_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    busy = httpx2.Response(429, json={"description": "too many"}, headers={"Retry-After": "3"})
    network = Network(busy, ok({"id": 1, "status": "RUNNING"}, 202))
    with network.client() as ganger:
        assert ganger.jobs.requeue([7]).status == "RUNNING"
    assert slept == [3.0]
    with Network(busy).client(patience_s=1.0) as ganger, pytest.raises(Refused):
        ganger.jobs.requeue([7])  # longer than the caller has patience
    assert slept == [3.0]


def test_links_are_followed_beneath_the_prefix_of_a_proxy() -> None:
    following = "https://ganger.test/tools/ganger/jobs/?page=2"
    network = Network(
        ok({"results": [job()], "next": following, "count": 2}), ok({"results": [job(id=8)], "next": None, "count": 2})
    )
    with Client("https://ganger.test/tools/ganger", "secret", http=httpx2.MockTransport(network)) as ganger:
        assert [one.id for one in ganger.jobs.list()] == [7, 8]
    assert [request.url.raw_path for request in network.asked][1] == b"/tools/ganger/jobs/?page=2"


def test_patience_has_an_end() -> None:
    network = Network(REFUSED)
    with network.client(patience_s=0.0) as ganger, pytest.raises(Unreachable) as caught:
        ganger.jobs.get(7)
    assert str(caught.value) == "the API at http://ganger.test cannot be reached (connection refused)"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Denied),
        (403, Denied),
        (404, NotFound),
        (409, Conflict),
        (500, ServerTrouble),
        (418, Refused),
    ],
)
def test_a_refusal_carries_what_the_api_said(status: int, kind: type[Refused]) -> None:
    body = {"code": status, "description": "no", "kind": "some-slug", "field": "cpus_required", "request_id": "r1"}
    with Network(ok(body, status)).client() as ganger, pytest.raises(kind) as caught:
        ganger.jobs.get(7)
    error = caught.value
    assert (str(error), error.code, error.kind, error.field, error.request_id) == (
        "no",
        status,
        "some-slug",
        "cpus_required",
        "r1",
    )


def test_a_refusal_that_is_plain_text_is_told_as_it_is() -> None:
    network = Network(httpx2.Response(404, text="there is no job 7\n"))
    with network.client() as ganger, pytest.raises(NotFound, match=r"^there is no job 7$"):
        ganger.jobs.get(7)


def test_something_else_than_ganger_at_the_address_is_said_so() -> None:
    network = Network(httpx2.Response(200, html="<h1>It works!</h1>"))
    with network.client() as ganger, pytest.raises(Unreachable, match="not Ganger's API"):
        ganger.jobs.get(7)


def test_a_list_follows_the_links_on_its_own_host_and_stops_at_the_limit() -> None:
    following = "http://behind-a-proxy:80/jobs/?status=QUEUED&status=RUNNING&page=2"
    network = Network(page([1, 2], following), page([3, 4], None))
    with network.client() as ganger:
        assert [one.id for one in ganger.jobs.list(status=["QUEUED", "RUNNING"], limit=3)] == [1, 2, 3]
    assert [str(request.url) for request in network.asked] == [
        "http://ganger.test/jobs/?status=QUEUED&status=RUNNING",
        "http://ganger.test/jobs/?status=QUEUED&status=RUNNING&page=2",
    ]


def test_the_next_page_is_asked_for_only_when_it_is_needed() -> None:
    network = Network(page([1, 2], "http://ganger.test/jobs/?page=2"), page([3], None))
    with network.client() as ganger:
        found = ganger.jobs.list()
        assert (next(found).id, next(found).id, len(network.asked)) == (1, 2, 1)


def event(name: str, data: Any, number: int | None = None) -> bytes:
    line = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{line}data: {json.dumps(data)}\n\n".encode()


def stream(*events: bytes) -> httpx2.Response:
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=b"".join(events))


def piece(text: str, offset: int) -> bytes:
    told = {"phase": "job", "stream": "stdout", "offset": offset, "text": text}
    return event("log", told, offset + len(text))


def test_a_log_that_breaks_off_goes_on_where_it_broke() -> None:
    network = Network(stream(piece("one ", 0)), stream(piece("two", 4), event("end", {})))
    with network.client() as ganger:
        assert "".join(one.text for one in ganger.logs.follow(3)) == "one two"
    assert "Last-Event-ID" not in network.asked[0].headers
    assert network.asked[1].headers["Last-Event-ID"] == "4"


def test_an_upload_is_hashed_and_sent_whole_again_after_a_break() -> None:
    content = b"places"
    network = Network(BROKEN, ok({"id": 5, "file_name": "a.csv"}, 201))
    with network.client() as ganger:
        assert ganger.files.upload_from(io.BytesIO(content), name="a.csv").id == 5
    assert [request.content for request in network.asked] == [content, content]
    query = network.asked[1].url.params
    assert (query["file_name"], query["media_type"]) == ("a.csv", "text/csv")
    assert query["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_download_that_arrives_damaged_leaves_nothing(tmp_path: Path) -> None:
    network = Network(ok({"id": 5, "sha256": "0" * 64}), httpx2.Response(200, content=b"other"))
    with network.client() as ganger, pytest.raises(ClientError, match="damaged"):
        ganger.files.download(5, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_there_whole(tmp_path: Path) -> None:
    content = b"places"
    about = {"id": 5, "sha256": hashlib.sha256(content).hexdigest()}
    with Network(ok(about), httpx2.Response(200, content=content)).client() as ganger:
        ganger.files.download(5, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == content


def test_waiting_tells_of_every_change_and_returns_the_end() -> None:
    network = Network(ok(job()), ok(job(status="RUNNING", num_exes=1)), ok(job(status="COMPLETED", num_exes=1)))
    seen: list[str] = []
    with network.client() as ganger:
        assert ganger.jobs.wait(7, changed=lambda one: seen.append(one.status)).is_final
    assert seen == ["QUEUED", "RUNNING", "COMPLETED"]


def test_cancelled_work_is_waited_for_until_nothing_of_it_runs() -> None:
    dying = job(status="CANCELED", job_exes=[{"id": 1, "status": "RUNNING"}])
    dead = job(status="CANCELED", job_exes=[{"id": 1, "status": "CANCELED"}])
    network = Network(ok(dying), ok(dead))
    with network.client() as ganger:
        ganger.jobs.wait_dead(7)
    assert len(network.asked) == 2


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (job(status="COMPLETED"), 0),
        (job(status="FAILED"), 1),
        (job(status="CANCELED"), 1),
        (job(status="FAILED", job_exes=[{"id": 1, "job_exit_code": 7}]), 7),
        (job(status="FAILED", job_exes=[{"id": 1, "pre_exit_code": 3}]), 3),
        (job(status="FAILED", job_exes=[{"id": 1, "job_exit_code": 0, "post_exit_code": 4}]), 4),
        (job(status="FAILED", job_exes=[{"id": 1, "job_exit_code": 0}]), 1),
        (job(status="FAILED", job_exes=[{"id": 1, "job_exit_code": -9}]), 1),
    ],
)
def test_a_job_says_how_a_command_that_ran_it_should_exit(document: dict[str, Any], code: int) -> None:
    assert Job.read(document).exit_code == code


def test_what_the_client_does_not_know_of_is_kept() -> None:
    document = job(something_new={"a": 1})
    assert Job.read(document).document == document


def test_the_tries_of_a_job_are_those_that_count() -> None:
    assert Job.read(job(num_exes=4, forgiven=1, max_tries=3)).tries == 3


@pytest.mark.parametrize("wrong", [{"command": "echo hi"}, {"command": b"echo"}, {"command": ["a"], "secrets": "key"}])
def test_a_text_in_place_of_a_list_is_refused_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="list"):
        JobRequest(**wrong)


def test_the_refusal_of_a_command_line_shows_how_it_is_written() -> None:
    with pytest.raises(TypeError, match=r'\["sh", "-c", "echo hi"\]'):
        JobRequest(command="echo hi")


def test_ids_in_one_text_are_no_list_of_digits() -> None:
    client = Network(page([7], None)).client()
    with pytest.raises(TypeError, match="job_ids"):
        client.jobs.statuses("17")  # type: ignore[arg-type]  # the mistake that is tested
