"""Waiting for jobs over HTTP, with real processes: who waits is told at once, and keeps no thread from anybody."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.up.embedded.servers import ServerSet
from scheduler.identity import Role
from tests.support.api import Api
from tests.support.api import serving as in_process
from tests.support.api_process import serving
from tests.support.servers import Seeds, connect

WAITERS = 200


class Served:
    """An API of one process with two threads, with admin's token."""

    def __init__(self, url: str, api: Api) -> None:
        self.url, self.api = url, api
        self.client = httpx2.Client(
            base_url=url, headers=self.headers(), timeout=60, limits=httpx2.Limits(max_connections=50)
        )

    def headers(self, caller: str = "admin") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api.secrets[caller]}", "Accept": "application/json"}

    def job(self, **fields: Any) -> int:
        return int(self.client.post("/jobs/", json={"command": ["true"], **fields}).raise_for_status().json()["id"])

    def cancel(self, job_id: int) -> None:
        self.client.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"}).raise_for_status()

    def cursor(self) -> str:
        return str(self.client.get("/jobs/changes/").json()["cursor"])

    def waiting(self, path: str, caller: str = "admin") -> socket.socket:
        """A connection that has asked, and waits."""
        made = socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=30)
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers(caller).items())
        made.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())
        return made


@pytest.fixture(scope="module")
def served(servers: ServerSet, migrated: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with connect(servers.database_url) as db:
        migrated.restore(db)
    folder: Path = tmp_path_factory.mktemp("waiting")
    with (
        serving(servers.database_url, servers.broker_url, folder, API_WORKERS="1", API_THREADS="2") as url,
        in_process(servers.database_url, folder) as api,
    ):
        yield Served(url, api)


def status_of(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode()


def whole(connection: socket.socket) -> bytes:
    """One whole answer."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65536)
        assert piece, f"closed after {read!r}"
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def test_a_wait_ends_when_the_status_changes_and_its_answer_has_the_new_one(served: Served) -> None:
    job_id = served.job()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(served.client.get, f"/jobs/{job_id}/", params={"wait": 30})
        served.client.get("/health/live")
        began = time.monotonic()
        served.cancel(job_id)
        answer = asked.result()
    assert answer.json()["status"] == "CANCELED"
    assert answer.headers["X-Request-Id"]
    assert time.monotonic() - began < 5


def test_a_wait_for_what_has_happened_already_is_over_at_once(served: Served) -> None:
    job_id = served.job()
    began = time.monotonic()
    assert served.client.get(f"/jobs/{job_id}/", params={"wait": 30, "known": "RUNNING"}).json()["status"] == "QUEUED"
    served.cancel(job_id)
    assert (
        served.client.get(f"/jobs/{job_id}/", params={"wait": 30, "known": "CANCELED"}).json()["status"] == "CANCELED"
    )
    assert time.monotonic() - began < 5


def test_who_waits_for_the_end_hears_of_no_status_that_he_names_and_of_the_last_one_when_the_wait_is_over(
    served: Served,
) -> None:
    open_states = [("known", one) for one in ("PENDING_UPLOAD", "PENDING", "BLOCKED", "QUEUED", "RUNNING")]
    moved = "UPDATE jobs SET status = 'RUNNING', attempt = 1, moved_xid = pg_current_xact_id() WHERE id = :id"
    short, long = served.job(), served.job()
    with ThreadPoolExecutor(2) as pool:
        over = pool.submit(served.client.get, f"/jobs/{short}/", params=[("wait", 4), *open_states])
        ended = pool.submit(served.client.get, f"/jobs/{long}/", params=[("wait", 30), *open_states])
        for job_id in (short, long):
            served.api.change(moved, id=job_id)
        assert over.result().json()["status"] == "RUNNING"
        assert not ended.done()
        served.cancel(long)
        assert ended.result().json()["status"] == "CANCELED"
    refused = served.client.get(f"/jobs/{short}/", params={"known": "ASLEEP"})
    assert (refused.status_code, refused.json()["field"]) == (400, "known[0]")


def test_a_wait_without_a_change_ends_with_the_job_as_it_is_and_the_connection_goes_on(served: Served) -> None:
    job_id = served.job()
    with served.waiting(f"/jobs/{job_id}/?wait=1") as connection:
        answer = whole(connection)
        assert status_of(answer) == "HTTP/1.1 200 OK"
        assert b'"status":"QUEUED"' in answer
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(whole(connection)) == "HTTP/1.1 200 OK"


def test_two_hundred_wait_on_two_threads_and_all_are_told(served: Served) -> None:
    job_id = served.job(name="awaited")
    cursor = served.cursor()
    with ExitStack() as stack:
        paths = (f"/jobs/{job_id}/?wait=50", f"/jobs/changes/?wait=50&job_name=awaited&after={cursor}")
        waiting = [stack.enter_context(served.waiting(paths[n % 2])) for n in range(WAITERS)]
        # The metrics count who was answered: while all wait, everybody else is served by the two threads.
        assert served.client.get("/jobs/").status_code == 200
        served.cancel(job_id)
        answers = [whole(one) for one in waiting]
    assert all(status_of(one) == "HTTP/1.1 200 OK" and b'"status":"CANCELED"' in one for one in answers)


def test_changes_come_by_cursor_each_page_bounded(served: Served) -> None:
    cursor = served.cursor()
    ids = served.client.post("/jobs/", json=[{"command": ["true"]}] * 5).json()["job_ids"]
    first = served.client.get("/jobs/changes/", params={"after": cursor, "page_size": 3}).json()
    rest = served.client.get("/jobs/changes/", params={"after": first["cursor"], "page_size": 3}).json()
    assert [job["id"] for job in (*first["results"], *rest["results"])] == ids
    assert (first["more"], rest["more"]) == (True, False)
    assert served.client.get("/jobs/changes/", params={"after": rest["cursor"]}).json()["results"] == []


def test_a_wait_for_changes_passes_over_what_does_not_match(served: Served) -> None:
    cursor = served.cursor()
    with served.waiting(f"/jobs/changes/?wait=50&status=CANCELED&after={cursor}") as connection:
        other, wanted = served.job(), served.job()
        served.cancel(wanted)
        answer = whole(connection)
    told = [one["id"] for one in json.loads(answer.partition(b"\r\n\r\n")[2])["results"]]
    assert (wanted in told, other in told) == (True, False)


def test_an_empty_wait_gives_a_cursor_from_which_nothing_is_missed(served: Served) -> None:
    cursor = served.cursor()
    served.job()
    waited = served.client.get("/jobs/changes/", params={"after": cursor, "wait": 1, "status": "FAILED"}).json()
    assert waited["results"] == []
    job_id = served.job()
    after = served.client.get("/jobs/changes/", params={"after": waited["cursor"]}).json()
    assert [job["id"] for job in after["results"]][-1] == job_id


def test_who_waits_with_a_token_that_is_revoked_meanwhile_is_refused(served: Served) -> None:
    served.api.a_token("leaving", Role.VIEWER)
    job_id = served.job()
    with served.waiting(f"/jobs/{job_id}/?wait=50", "leaving") as connection:
        served.client.get("/jobs/")
        token = served.api.value("SELECT id FROM tokens WHERE name = 'leaving'")
        served.client.delete(f"/admin/tokens/{token}/").raise_for_status()
        served.cancel(job_id)
        assert status_of(whole(connection)) == "HTTP/1.1 401 UNAUTHORIZED"


def test_who_goes_away_is_forgotten(served: Served) -> None:
    job_id = served.job()
    for _ in range(50):
        served.waiting(f"/jobs/{job_id}/?wait=60").close()
    served.cancel(job_id)
    assert served.client.get(f"/jobs/{job_id}/", params={"wait": 5}).json()["status"] == "CANCELED"


def test_a_wait_longer_than_a_minute_is_refused_by_its_field(served: Served) -> None:
    answer = served.client.get(f"/jobs/{served.job()}/", params={"wait": 61})
    assert (answer.status_code, answer.json()["field"]) == (400, "wait")


def test_what_another_project_does_wakes_nobody_and_is_not_shown(served: Served) -> None:
    served.api.a_project("other")
    served.api.a_token("theirs", Role.VIEWER, "other")
    theirs = httpx2.get(f"{served.url}/jobs/changes/", headers=served.headers("theirs")).json()["cursor"]
    served.job()
    found = httpx2.get(
        f"{served.url}/jobs/changes/", params={"after": theirs, "wait": 1}, headers=served.headers("theirs")
    )
    assert found.json()["results"] == []


def test_a_stopping_server_answers_who_waits(servers: ServerSet, migrated: Seeds, tmp_path: Path) -> None:
    with ExitStack() as stack:
        with (
            serving(servers.database_url, servers.broker_url, tmp_path, API_WORKERS="1") as url,
            in_process(servers.database_url, tmp_path) as api,
        ):
            one = Served(url, api)
            connection = stack.enter_context(one.waiting(f"/jobs/{one.job()}/?wait=60"))
            one.client.get("/jobs/")
        assert status_of(whole(connection)) == "HTTP/1.1 200 OK"
