"""Requests that are meant to end the API: whatever one client does slowly, a node beats and a reader reads meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.http.serving import paced_socket
from api.up.embedded.servers import ServerSet
from tests.support import api as in_process
from tests.support.api_process import serving
from tests.support.servers import Seeds, connect

COUNT = 36
PATIENCE_S = 8.0
"""How long a node or a reader may wait: less than anything that an attacker's request may hold."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """A real server of one process with few threads, and the same API in this process, which knows the tokens."""

    url: str
    api: in_process.Api
    node: dict[str, Any]

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=30)

    def head(self, method: str, path: str, caller: str | None = "submitter", **headers: str) -> bytes:
        own = {"Host": "localhost", "Accept": "application/json"}
        if caller is not None:
            own["Authorization"] = f"Bearer {self.api.secrets[caller]}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**own, **named}.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()

    def everybody_else_is_served(self) -> None:
        """A node beats and a reader reads, each on a new connection and in time."""
        for _ in range(3):
            beat = {"node_id": self.node["node_id"], "epoch": self.node["epoch"], "holding": 0}
            answer = httpx2.post(f"{self.url}/node/beat/", json=beat, headers=self._token("node"), timeout=PATIENCE_S)
            assert answer.status_code == 200, answer.text
            answer = httpx2.get(f"{self.url}/jobs/", headers=self._token("viewer"), timeout=PATIENCE_S)
            assert answer.status_code == 200, answer.text

    def _token(self, caller: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api.secrets[caller]}", "Accept": "application/json"}


@pytest.fixture(scope="module")
def attacked(servers: ServerSet, migrated: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with connect(servers.database_url) as db:
        migrated.restore(db)  # the default workspace is this folder, not that of an earlier test
    folder: Path = tmp_path_factory.mktemp("attacked")
    chosen = {
        "API_WORKERS": "1",
        "API_THREADS": "8",
        "NODE_THREADS": "2",
        "CLIENT_GRACE_S": "3",
        "LIMIT_REQUESTS": "false",
    }
    with (
        serving(servers.database_url, servers.broker_url, folder, **chosen) as url,
        in_process.serving(servers.database_url, folder) as api,
    ):
        amounts = {"cpus": 1_000, "mem": 1_000_000, "disk": 1_000_000}
        registration = {"name": "n", "hostname": "n", "boot_id": "b", "disk_id": "d", "amounts": amounts}
        node = api.as_("node").post("/node/register/", registration)
        assert node.status_code == 200, node.text
        yield Attacked(url, api, node.json)


SLOW: dict[str, tuple[str, dict[str, str], bytes]] = {
    "uploads": ("/files/?file_name=f", {"Content_Type": "application/octet-stream", "Content_Length": "1000000"}, b"x"),
    "uploads in chunks": (
        "/files/?file_name=f",
        {"Content_Type": "application/octet-stream", "Transfer_Encoding": "chunked"},
        b"5\r\nx",
    ),
    "small bodies": ("/jobs/", {"Content_Type": "application/json", "Content_Length": "100"}, b"["),
    "large bodies": ("/jobs/", {"Content_Type": "application/json", "Content_Length": "1000000"}, b"["),
    "forms": (
        "/files/",
        {"Content_Type": "multipart/form-data; boundary=b", "Content_Length": "1000000"},
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx',
    ),
    "expected bodies": (
        "/jobs/",
        {"Content_Type": "application/json", "Content_Length": "100", "Expect": "100-continue"},
        b"",
    ),
}


@pytest.mark.parametrize("kind", SLOW)
def test_bodies_that_come_a_byte_at_a_time_hold_up_nobody_else(attacked: Attacked, kind: str) -> None:
    path, headers, first = SLOW[kind]
    with ExitStack() as open_ones:
        slow = [open_ones.enter_context(attacked.connected()) for _ in range(COUNT)]
        for connection in slow:
            connection.sendall(attacked.head("POST", path, **headers) + first)
        attacked.everybody_else_is_served()
        told = [status_of(connection) for connection in slow]
    # Those that found a thread were given up on, the others were told at once to try again.
    assert set(told) == {408, 503}, told


def status_of(connection: socket.socket) -> int:
    """Return the status of the answer, which comes although the body never does."""
    read = b""
    while b"\r\n\r\n" not in read or read.startswith(b"HTTP/1.1 100"):
        piece = connection.recv(65536)
        if not piece:
            return 0
        read = (read + piece).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    status = int(read.split()[1])
    if status == 503:
        assert b"\r\nretry-after: " in read.lower()
    return status


def test_a_body_that_keeps_the_least_pace_for_too_long_in_all_ends_too() -> None:
    now = [0.0]
    pace = paced_socket.Pace(within_s=5, monotonic=lambda: now[0])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x")
        pace.count(10**9)
        pace.wait(ours.fileno(), 1)
        now[0] = 5.0
        with pytest.raises(paced_socket.TooSlowError):
            pace.wait(ours.fileno(), 1)


@pytest.mark.parametrize("caller", [None, "viewer"])
def test_bodies_that_nobody_wants_hold_up_nobody(attacked: Attacked, caller: str | None) -> None:
    """Refused before their body is read, they never send it, nor close."""
    head = attacked.head("POST", "/jobs/", caller, Content_Type="application/json", Content_Length="1000000")
    with ExitStack() as open_ones:
        refused = [open_ones.enter_context(attacked.connected()) for _ in range(COUNT)]
        for connection in refused:
            connection.sendall(head)
        attacked.everybody_else_is_served()
        assert {status_of(connection) for connection in refused} == {403 if caller else 401}


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /half HTTP/1.1\r\nHos"],
    ids=["nonsense", "told to close", "half of the next head"],
)  # fmt: skip
def test_who_does_not_close_what_is_over_holds_up_nobody(attacked: Attacked, sent: bytes) -> None:
    with ExitStack() as open_ones:
        for _ in range(COUNT):
            connection = open_ones.enter_context(attacked.connected())
            connection.sendall(sent)
        attacked.everybody_else_is_served()


def test_who_does_not_read_what_he_asked_for_holds_up_nobody(attacked: Attacked) -> None:
    large = b"x" * 32 * 1024 * 1024
    query = {"file_name": "large"}
    sent = attacked.api.send("POST", "/files/", large, query=query, content_type="application/octet-stream")
    assert sent.status_code == 201, sent.text
    made = sent.json
    with ExitStack() as open_ones:
        deaf = []
        for _ in range(COUNT):
            connection = open_ones.enter_context(attacked.connected())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(attacked.head("GET", f"/files/{made['id']}/content/"))
            deaf.append(connection)
        attacked.everybody_else_is_served()
        told = [status_of(connection) for connection in deaf]
    assert set(told) == {200, 503}
    _await_a_share(attacked, f"/files/{made['id']}/content/", len(large))


def _await_a_share(attacked: Attacked, path: str, size: int) -> None:
    """The threads of the deaf come free: whoever reads gets the whole file."""
    headers = {"Authorization": f"Bearer {attacked.api.secrets['viewer']}"}
    deadline = time.monotonic() + 60
    while (answer := httpx2.get(f"{attacked.url}{path}", headers=headers, timeout=30)).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(float(answer.headers["Retry-After"]))  # as the answer says
    assert len(answer.content) == size


def test_a_node_that_sends_slowly_leaves_the_other_nodes_their_threads(attacked: Attacked) -> None:
    head = attacked.head("POST", "/node/report/", "node", Content_Type="application/json", Content_Length="1000000")
    with ExitStack() as open_ones:
        slow = [open_ones.enter_context(attacked.connected()) for _ in range(COUNT)]
        for connection in slow:
            connection.sendall(head + b"{")
        attacked.everybody_else_is_served()
        assert {status_of(connection) for connection in slow} == {408, 503}


def test_no_header_of_a_client_moves_what_it_asks_for_to_another_place(attacked: Attacked) -> None:
    """The server takes some headers of local clients for a proxy's; the shares of the threads go by the path."""
    for header in ("SCRIPT_NAME", "PATH_INFO"):
        answer = httpx2.get(
            f"{attacked.url}/jobs/1/",
            headers={header: "/jobs", "Authorization": f"Bearer {attacked.api.secrets['viewer']}"},
        )
        assert answer.status_code == 404
        assert "there is no job 1" in answer.text
        page = httpx2.get(f"{attacked.url}/", headers={header: "//evil.example", "Accept": "text/html"})
        assert page.headers["Location"] in {"/ui/", f"{attacked.url}/ui/"}
