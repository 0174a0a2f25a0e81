"""A client that was made before a fork: every process gets the answers to its own questions."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

POOL = """
import multiprocessing, sys
from ganger import Client

client = Client(sys.argv[1], "secret")

def ask(number):
    return client.read(f"/echo/{number}/")["path"] == f"/echo/{number}/"

assert ask(-1)  # there is a connection now, which the pool's processes inherit
with multiprocessing.get_context("fork").Pool(4) as pool:
    asked = pool.map_async(ask, range(400), chunksize=1)
    own = all(ask(number) for number in range(1000, 1100))
    print(own, all(asked.get(60)))
client.close()
"""

CLOSED = """
import os, sys
from ganger import Client

client = Client(sys.argv[1], "secret")
client.read("/echo/1/")
child = os.fork()
if child == 0:
    client.close()
    os._exit(0)
os.waitpid(child, 0)
print(client.read("/echo/2/")["path"])
"""

FOLLOWED = """
import os, sys
from ganger import Client

client = Client(sys.argv[1], "secret")
pieces = client.logs.follow(7)
print(next(pieces).text, flush=True)
child = os.fork()
rest = "".join(piece.text for piece in pieces)
if child:
    os.waitpid(child, 0)
print(rest, flush=True)
os._exit(0)
"""

STREAM = [
    b'id: %d\nevent: log\ndata: {"text": "%s"}\n\n' % (number, text) for number, text in enumerate([b"a", b"b", b"c"])
]


class Echo(BaseHTTPRequestHandler):
    """Answers with the path that was asked for, over kept connections."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[set[object]] = set()

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        if "/logs/" in self.path:
            self._stream()
            return
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Send the events after the last one that the client has, and the end."""
        last = int(self.headers.get("Last-Event-ID", "-1"))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in STREAM[last + 1 :]:
            self.wfile.write(event)
            self.wfile.flush()
        self.wfile.write(b"event: end\ndata: {}\n\n")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    Echo.connections.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def run(program: str, url: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, url], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pool_of_processes_never_mixes_answers(url: str) -> None:
    assert run(POOL, url) == "True True\n"
    assert len(Echo.connections) == 5


def test_a_child_that_closes_its_client_leaves_the_parents_open(url: str) -> None:
    assert run(CLOSED, url) == "/echo/2/\n"
    assert len(Echo.connections) == 1


def test_output_that_is_followed_arrives_on_both_sides_once(url: str) -> None:
    assert sorted(run(FOLLOWED, url).split()) == ["a", "bc", "bc"]
