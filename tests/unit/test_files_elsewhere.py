"""Files that lie on other servers: an answer that breaks off or comes encoded is never taken for the file."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.http import transfer
from scheduler import web_addresses
from scheduler.errors import InvalidInput, ServiceUnavailable
from scheduler.files import object_storage, storage, web_storage
from workers.api_client import ApiClient, ServerRefused, ServerUnreachable
from workers.files import sources

Serve = Callable[[bytes], tuple[str, list[bytes]]]
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345"
CUT_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\na\r\n12345"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345"
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345"


LOOPBACK = web_addresses.networks("127.0.0.0/8")


@pytest.fixture(autouse=True)
def loopback_is_allowed() -> Iterator[None]:
    """The servers of these tests are here."""
    web_storage.allow(LOOPBACK)
    yield
    web_storage.allow(())


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


# --- where a name leads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",  # noqa: S104
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
        ),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "no address"),
    ],
)
def test_no_address_inside_is_open_however_it_is_written(address: str) -> None:
    assert not web_addresses.is_open(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:1.1.1.1"]
)
def test_public_addresses_are_open(address: str) -> None:
    assert web_addresses.is_open(address)


def test_operators_may_open_a_network_and_no_more() -> None:
    allowed = web_addresses.networks("10.1.0.0/16, fd00:1::/32")
    assert web_addresses.is_open("10.1.2.3", allowed)
    assert web_addresses.is_open("::ffff:10.1.2.3", allowed)
    assert web_addresses.is_open("fd00:1::5", allowed)
    assert not web_addresses.is_open("10.2.0.1", allowed)
    assert not web_addresses.is_open("127.0.0.1", allowed)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1"])
def test_neither_api_nor_node_connects_to_this_machine_by_any_name(serve: Serve, name: str) -> None:
    url, asked = serve(WHOLE)
    web_storage.allow(())
    inside = url.replace("127.0.0.1", name)
    with pytest.raises(ServiceUnavailable, match="private address"):
        storage.read(inside, "a.bin", 0, None)
    with pytest.raises(InvalidInput, match="GANGER_WEB_NETWORKS"):
        storage.check(inside)
    with pytest.raises(ServerRefused, match="private address"):
        b"".join(sources.read(f"{inside}/a.bin", networks=[]))
    assert not asked


def test_a_name_is_looked_up_once_so_that_it_cannot_lead_elsewhere_in_between(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = serve(WHOLE)
    port, lookups, real = int(url.rpartition(":")[2]), list[str](), socket.getaddrinfo

    def look_up(host: str, *more: Any, **rest: Any) -> Any:
        """Stands for a server of names that says something else each time."""
        if host != "rebinding.example":
            return real(host, *more, **rest)
        lookups.append(host)
        return real("127.0.0.1" if len(lookups) == 1 else "127.0.0.2", *more, **rest)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    inside = f"http://rebinding.example:{port}"
    assert b"".join(storage.read(inside, "a.bin", 0, None)) == b"12345"
    lookups.clear()
    assert b"".join(sources.read(f"{inside}/a.bin", networks=["127.0.0.1/32"])) == b"12345"
    assert b"host: rebinding.example" in asked[-1]
    assert len(lookups) == 1


@pytest.mark.parametrize(
    "place", ["http://127.0.0.2:1/x", "https://example.org/x", "//127.0.0.2/x", "file:///etc/passwd"]
)
def test_a_redirect_to_another_server_is_not_followed(serve: Serve, place: str) -> None:
    moved = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    url, _ = serve(moved)
    with pytest.raises(ServiceUnavailable, match="redirects to another"):
        storage.read(url, "a.bin", 0, None)
    with pytest.raises(ServerRefused, match="redirects to another"):
        b"".join(sources.read(f"{url}/a.bin", networks=["127.0.0.0/8"]))


def test_a_redirect_within_the_server_is_followed_but_not_for_ever(serve: Serve) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    url, asked = serve(moved)
    with pytest.raises(ServiceUnavailable, match="without end"):
        storage.read(url, "a.bin", 0, None)
    with pytest.raises(ServerRefused, match="without end"):
        b"".join(sources.read(f"{url}/a.bin", networks=["127.0.0.0/8"]))
    assert len(asked) == 8
