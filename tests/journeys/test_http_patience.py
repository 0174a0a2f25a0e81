"""Clients that connect and say nothing, or half of something: everybody else is answered as if they were not there."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from api.http.serving import gunicorn_worker
from api.up.embedded.servers import ServerSet
from tests.support.api_process import serving
from tests.support.servers import Seeds, connect


@pytest.fixture(scope="module")
def url(servers: ServerSet, migrated: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An API of one process with two threads: the smallest there is."""
    with connect(servers.database_url) as db:
        migrated.restore(db)  # the default workspace is this folder, not that of an earlier test
    folder: Path = tmp_path_factory.mktemp("patience")
    with serving(servers.database_url, servers.broker_url, folder, API_WORKERS="1", API_THREADS="2") as url:
        yield url


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30)


def told(connection: socket.socket, *, answers: int) -> bool:
    """Read so many whole answers; False when the connection is closed before."""
    read = b""
    while read.count(b'{"status":"ok"}') < answers:
        piece = connection.recv(4096)
        if not piece:
            return False
        read += piece
    return read.count(b"HTTP/1.1 200") == answers


def answers_before_a_head_ends(url: str) -> bool:
    """Whether a request is answered sooner than the first of the slow clients, had it a thread, would let go of it."""
    began = time.monotonic()
    assert httpx2.get(f"{url}/health/live", timeout=2 * gunicorn_worker.HEAD_WITHIN_S).status_code == 200
    return time.monotonic() - began < gunicorn_worker.HEAD_WITHIN_S


@pytest.mark.parametrize(
    ("sent", "count"),
    [(b"", 2_000), (b"G", 300), (b"GET /jobs/ HTTP/1.1\r\nHost: x\r\nX-Slow: ", 300)],
    ids=["nothing", "one byte", "half a head"],
)
def test_who_sends_no_whole_head_keeps_nobody_waiting(url: str, sent: bytes, count: int) -> None:
    with ExitStack() as open_ones:
        for _ in range(count):
            slow = open_ones.enter_context(connected(url))
            slow.sendall(sent)
        assert all(answers_before_a_head_ends(url) for _ in range(5))


def test_a_head_that_comes_byte_by_byte_is_answered(url: str) -> None:
    with connected(url) as slow:
        for byte in b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n":
            slow.sendall(bytes([byte]))
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")


def test_requests_in_a_row_on_one_connection_are_all_answered(url: str) -> None:
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(url) as kept:
        for _ in range(3):
            kept.sendall(request[:20])
            kept.sendall(request[20:])
            assert told(kept, answers=1)
        kept.sendall(request * 3)  # the next before the answer to the first
        assert told(kept, answers=3)


def test_who_sends_no_head_in_time_is_closed_and_so_is_a_head_without_end(url: str) -> None:
    with connected(url) as silent, connected(url) as endless:
        began = time.monotonic()
        endless.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * gunicorn_worker.MOST_HEAD)
        with pytest.raises((ConnectionError, StopIteration)):
            next(iter(lambda: endless.recv(4096), b""))
        assert time.monotonic() - began < gunicorn_worker.HEAD_WITHIN_S
        assert silent.recv(1) == b""
        assert time.monotonic() - began > gunicorn_worker.HEAD_WITHIN_S - 1
