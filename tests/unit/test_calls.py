"""Calls of the node protocol: over a connection that stays open, again over a new one where it was closed, and under a prefix."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.link.calls import CallConnections, CallFailed

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers each request with `{}`, at most `each` of them over one connection, and then closes it without a word."""

    def __init__(self, each: int) -> None:
        self._each = each
        self.requests: list[tuple[int, bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                for _ in range(self._each):
                    first = lines.readline()
                    if not first:
                        break
                    length = 0
                    while (line := lines.readline()) not in {b"\r\n", b""}:
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    lines.read(length)
                    self.requests.append((number, first.split()[1]))
                    connection.sendall(_ANSWER)
            number += 1


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found = Server(getattr(request, "param", 1_000))
    yield found
    found.close()


def test_calls_go_over_one_connection(server: Server) -> None:
    calls = CallConnections(f"{server.url}/tools/ganger/", None)
    for _ in range(3):
        assert calls.post("/node/beat/", b"{}", {}) == (200, b"{}")
    calls.close()
    assert server.requests == [(0, b"/tools/ganger/node/beat/")] * 3


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_connection_that_the_server_has_closed_is_replaced(server: Server) -> None:
    calls = CallConnections(server.url, None)
    for _ in range(3):
        assert calls.post("/node/beat/", b"{}", {}) == (200, b"{}")
    calls.close()
    assert [number for number, _ in server.requests] == [0, 1, 2]


def test_a_server_that_is_gone_is_told_as_a_failed_call(server: Server) -> None:
    calls = CallConnections(server.url, None)
    calls.post("/node/beat/", b"{}", {})
    calls.close()
    unused = socket.create_server(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    unused.close()
    with pytest.raises(CallFailed, match="refused"):
        CallConnections(f"http://127.0.0.1:{port}", None).post("/node/beat/", b"{}", {})


def test_what_was_idle_for_too_long_is_not_used_again(server: Server) -> None:
    calls = CallConnections(server.url, None, idle_s=0.0)
    for _ in range(3):
        assert calls.post("/node/beat/", b"{}", {}) == (200, b"{}")
    calls.close()
    assert [number for number, _ in server.requests] == [0, 1, 2]


def test_after_a_call_without_an_answer_no_old_connection_is_used_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(2) as callers:
        calls = CallConnections(f"http://127.0.0.1:{listener.getsockname()[1]}", None, answer_s=1.0)
        answers = [callers.submit(calls.post, "/node/beat/", b"{}", {}) for _ in range(2)]
        connections = [listener.accept()[0] for _ in range(2)]
        for connection in connections:
            connection.recv(4096)
        for connection in connections:
            connection.sendall(_ANSWER)
        assert [one.result()[0] for one in answers] == [200, 200]
        with pytest.raises(CallFailed, match="timed out"):
            calls.post("/node/beat/", b"{}", {})
        for connection in connections:
            connection.settimeout(10)
            while connection.recv(4096):
                pass  # the call that had no answer; then it is closed
            connection.close()
