"""Files that lie on other servers: an answer that breaks off or comes encoded is never taken for the file."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from api.http import transfer
from scheduler.errors import ServiceUnavailable
from scheduler.files import object_storage, storage
from workers.api_client import ApiClient, ServerRefused, ServerUnreachable
from workers.files import sources

Serve = Callable[[bytes], tuple[str, list[bytes]]]
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345"
CUT_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\na\r\n12345"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345"
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that gives one answer, whatever it is asked; its URL, and the heads that it was sent."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> tuple[str, list[bytes]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        asked: list[bytes] = []
        threading.Thread(target=_answer, args=(listener, answer, asked), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}", asked

    yield start
    for listener in listeners:
        listener.close()


def _answer(listener: socket.socket, answer: bytes, asked: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                head += piece
            asked.append(head.lower())
            connection.sendall(answer)


@pytest.mark.parametrize("answer", [CUT, CUT_CHUNKS, PACKED])
def test_a_file_on_the_web_is_registered_whole_or_not_at_all(serve: Serve, answer: bytes) -> None:
    url, _ = serve(answer)
    with pytest.raises(ServiceUnavailable):
        storage.measured(url, "a.bin")
    whole, _ = serve(WHOLE)
    assert storage.measured(whole, "a.bin").size == 5


def test_an_object_whose_store_breaks_off_is_not_taken_for_whole(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = serve(CUT)
    settings = {"ENDPOINT_URL_S3": url, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "x"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    object_storage._client.cache_clear()
    try:
        with pytest.raises(ServiceUnavailable):
            storage.measured("s3://data/set", "a.bin")
    finally:
        object_storage._client.cache_clear()


def test_a_node_asks_for_the_bytes_as_they_are(serve: Serve) -> None:
    url, asked = serve(WHOLE)
    assert b"".join(sources.read(f"{url}/a.bin")) == b"12345"
    assert b"".join(ApiClient(url, "t").download("/a.bin")) == b"12345"
    assert [b"\r\naccept-encoding: identity\r\n" in head for head in asked] == [True, True]


def test_a_node_takes_no_encoded_file_and_comes_back_for_a_broken_one(serve: Serve) -> None:
    packed, _ = serve(PACKED)
    with pytest.raises(ServerRefused, match="encoded"):
        list(sources.read(f"{packed}/a.bin"))
    cut, _ = serve(CUT)
    with pytest.raises(ServerUnreachable):
        list(sources.read(f"{cut}/a.bin"))


def test_a_stored_file_that_has_become_shorter_breaks_the_download() -> None:
    assert list(transfer.whole([b"ab", b"c"], 3)) == [b"ab", b"c"]
    with pytest.raises(ServiceUnavailable):
        list(transfer.whole([b"ab"], 3))
