"""The Python client waits by the API's own waits, and by pauses where the API knows none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.up.embedded.servers import ServerSet
from ganger import Client
from ganger.errors import NotFound, TimedOut
from ganger.requests import JobRequest
from tests.support.api import Api
from tests.support.api import serving as in_process
from tests.support.api_process import serving
from tests.support.servers import Seeds, connect

COMMAND = JobRequest(command=["true"])


class Network(httpx2.HTTPTransport):
    """The network, which counts what is asked, and may hide what an API of the release before does not know."""

    def __init__(self, *, old: bool = False) -> None:
        super().__init__()
        self.old, self.asked = old, list[str]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(f"{request.url.path}?{request.url.query.decode()}")
        if self.old and request.url.path == "/jobs/changes/":
            return httpx2.Response(
                404, json={"code": 404, "name": "Not Found", "description": "no", "kind": "not-found"}
            )
        if self.old and "wait" in request.url.params:
            refused = {"code": 400, "name": "Bad Request", "description": "unknown", "kind": "invalid", "field": "wait"}
            return httpx2.Response(400, json=refused)
        return super().handle_request(request)


@pytest.fixture(scope="module")
def address(servers: ServerSet, migrated: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Api]]:
    with connect(servers.database_url) as db:
        migrated.restore(db)
    folder: Path = tmp_path_factory.mktemp("client")
    with (
        serving(servers.database_url, servers.broker_url, folder, API_WORKERS="1") as url,
        in_process(servers.database_url, folder) as api,
    ):
        yield url, api


def client(address: tuple[str, Api], network: Network) -> Client:
    return Client(address[0], address[1].secrets["admin"], http=network)


def soon(call: Any, *arguments: Any) -> threading.Thread:
    """Call it on another thread, while this one waits."""
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    return thread


@pytest.mark.parametrize("old", [False, True])
def test_wait_returns_the_end_of_a_job_and_asks_few_times(address: tuple[str, Api], old: bool) -> None:
    network = Network(old=old)
    with client(address, network) as api:
        job = api.jobs.submit(COMMAND)
        seen: list[str] = []

        def changed(one: Any) -> None:
            if not seen:
                ended.append(soon(api.jobs.cancel, job.id))
            seen.append(one.status)

        ended: list[threading.Thread] = []
        assert api.jobs.wait(job.id, changed=changed).status == "CANCELED"
    assert seen == ["QUEUED", "CANCELED"]
    assert old or sum(one.startswith(f"/jobs/{job.id}/?") for one in network.asked) <= 3  # one of these cancels


@pytest.mark.parametrize("old", [False, True])
def test_jobs_are_yielded_as_they_end(address: tuple[str, Api], old: bool) -> None:
    with client(address, Network(old=old)) as api:
        ids = api.jobs.submit_many([COMMAND] * 3)
        order = [ids[1], ids[2], ids[0]]
        found = []
        api.jobs.cancel(order[0])
        for job in api.jobs.as_completed(ids):
            found.append(job.id)
            if len(found) < len(order):
                api.jobs.cancel(order[len(found)])
    assert found == order


def test_hundreds_of_jobs_are_awaited_by_one_feed(address: tuple[str, Api]) -> None:
    network = Network()
    with client(address, network) as api:
        ids = api.jobs.submit_many([COMMAND] * 150)
        operation = api.jobs.act("cancel", status=["QUEUED"])
        ended = api.jobs.wait_all(ids)
        api.jobs.wait_operation(operation)
    assert {job.status for job in ended.values()} == {"CANCELED"}
    assert set(ended) == set(ids)


def test_who_does_not_want_to_wait_longer_is_told_so(address: tuple[str, Api]) -> None:
    with client(address, Network()) as api:
        job = api.jobs.submit(COMMAND)
        with pytest.raises(TimedOut, match=r"still QUEUED after 0\.2 s"):
            api.jobs.wait(job.id, timeout_s=0.2)  # the time is what is tested
        with pytest.raises(TimedOut, match="1 jobs have not ended"):
            api.jobs.wait_all([job.id], timeout_s=0.2)  # likewise


def test_a_job_that_is_not_there_cannot_be_awaited(address: tuple[str, Api]) -> None:
    with client(address, Network()) as api, pytest.raises(NotFound):
        api.jobs.wait_all([10**9])
