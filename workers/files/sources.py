"""Sources: a file is read from where it lies, by http(s): from a web server, or an object store that signed the URL.

The node sends no credential of its own. A URL that needs one carries it, and is valid for a short time only. A URL that
a user named leads to public addresses alone, or to those that operators allow; no redirect to another server is followed.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpcore2
import httpx2

from scheduler import web_addresses
from scheduler.web_addresses import PrivateAddressError
from workers.api_client import ServerRefused, ServerUnreachable

_TIMEOUT: Final = httpx2.Timeout(60.0, connect=10.0)
"""Per read, not for the whole file."""
_NOT_NOW: Final = frozenset({408, 425, 429})
_LEAST_PACE: Final = 4 * 1024
"""Bytes a second, on average after the first minute."""
_PATIENCE_S: Final = 60.0
_MOST_REDIRECTS: Final = 4


def read(url: str, offset: int = 0, networks: Sequence[str] | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file from `offset` on. Raises ServerUnreachable when trying again may help, ServerRefused when not.

    `networks` are the private ones that may be connected to; None is any.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        with _client(networks) as client, _answer(client, url, offset) as answer:
            _check(answer, host)
            skip = offset if answer.status_code == 200 else 0  # noqa: PLR2004  a server without ranges sends it all
            began, count = time.monotonic(), 0
            for piece in answer.iter_raw():
                count += len(piece)
                if count < (time.monotonic() - began - _PATIENCE_S) * _LEAST_PACE:
                    raise ServerUnreachable(f"{host} sends too slowly", answered=True)
                yield piece[skip:]
                skip = max(0, skip - len(piece))
    except httpx2.UnsupportedProtocol as error:
        raise ServerRefused(0, f"It cannot be read from {url[:100]!r}.") from error
    except PrivateAddressError as error:
        raise ServerRefused(0, f"{error}.") from error
    except httpx2.HTTPError as error:
        raise ServerUnreachable(f"{host}: {error}", answered=False) from error


@contextlib.contextmanager
def _answer(client: httpx2.Client, url: str, offset: int) -> Iterator[httpx2.Response]:
    """Give the answer of the server, after redirects within it."""
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    for _ in range(_MOST_REDIRECTS):
        with client.stream("GET", url, headers=headers) as answer:
            following = answer.next_request.url if answer.next_request is not None else None
            if following is None or (following.scheme, following.netloc) != (answer.url.scheme, answer.url.netloc):
                yield answer
                return
            url = str(following)
    raise ServerRefused(0, f"{urlsplit(url).hostname} redirects without end.")


def _check(answer: httpx2.Response, host: str) -> None:
    status = answer.status_code
    if status >= 500 or status in _NOT_NOW:  # noqa: PLR2004
        raise ServerUnreachable(f"{host} answers {status}", answered=True)
    if 300 <= status < 400:  # noqa: PLR2004
        raise ServerRefused(status, f"{host} redirects to another address, which is not followed.")
    if status >= 400:  # noqa: PLR2004
        raise ServerRefused(status, f"{host} answers {status}.")
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise ServerRefused(status, f"{host} sends it encoded ({encoding[:40]}).")


def _client(networks: Sequence[str] | None) -> httpx2.Client:
    transport = httpx2.HTTPTransport(verify=_verify(), trust_env=False)
    if networks is not None:
        transport._pool = httpcore2.ConnectionPool(  # noqa: SLF001  there is no other way to say how to connect
            ssl_context=_verify(), network_backend=_CheckedBackend(networks)
        )
    is_ours = networks is None  # an object store that operators chose may send us to another of its hosts
    return httpx2.Client(transport=transport, timeout=_TIMEOUT, follow_redirects=is_ours, trust_env=False)


@functools.cache
def _verify() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


class _CheckedBackend(httpcore2.SyncBackend):
    """Connects to addresses that were checked: the name is looked up once, and TLS still goes by the name."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._allowed = web_addresses.networks(",".join(networks))

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            places = web_addresses.resolve(host, port, self._allowed)
        except PrivateAddressError:
            raise
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for address, _ in places[:-1]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return super().connect_tcp(places[-1][0], port, timeout, local_address, socket_options)
