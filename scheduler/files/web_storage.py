"""Workspaces on the web: `https://host/folder`, read only. Files there are registered, never written or removed.

The host is what a user says. So nothing leads inside: only public addresses are connected to, or those that operators
allow (`GANGER_WEB_NETWORKS`); a redirect to another server is not followed; and what comes has a length, a pace and a
time that it must keep.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from scheduler import web_addresses
from scheduler.errors import InvalidInput, NotFound, ServiceUnavailable
from scheduler.web_addresses import Network, PrivateAddressError

_PIECE: Final = 256 * 1024
_PATIENCE_S: Final = 60.0
"""For each read."""
_LEAST_PACE: Final = 4 * 1024
"""Bytes a second, on average after the first minute."""
_MOST_S: Final = 6 * 3600.0
MOST_BYTES: Final = 1 << 40
_MOST_REDIRECTS: Final = 3
_GONE: Final = {404, 410}
_REDIRECTS: Final = {301, 302, 303, 307, 308}

_allowed: list[Network] = []


def allow(networks: Sequence[Network]) -> None:
    """Let this process connect to these networks too, in place of those that it could before."""
    _allowed[:] = networks


def check(url: str) -> None:
    """Raise InvalidInput for a URL that has no host, that has credentials or a query, or whose host is inside."""
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidInput("a workspace on the web is http(s)://host/folder, without credentials or query", field="url")
    try:
        web_addresses.resolve(parts.hostname, parts.port or 443, _allowed)
    except PrivateAddressError as error:
        raise InvalidInput(f"{error}; operators can allow it (GANGER_WEB_NETWORKS)", field="url") from None
    except ValueError as error:
        raise InvalidInput(f"the port of this url is none: {error}", field="url") from None
    except OSError:
        pass  # a host that cannot be found now may be there later, and is checked whenever it is connected to


def address(url: str, path: str) -> str:
    """Return the URL of a file."""
    return f"{url.rstrip('/')}/{quote(path)}"


def read(url: str, path: str, start: int, length: int | None) -> Iterator[bytes]:
    """Yield bytes of a file from `start` on, to its end without a length. Raises NotFound, ServiceUnavailable at once."""
    if length == 0:
        return iter(())
    headers = {"Accept-Encoding": "identity", "User-Agent": "ganger"}
    if start or length is not None:
        headers["Range"] = f"bytes={start}-" + ("" if length is None else str(start + length - 1))
    try:
        answer = _get(address(url, path), headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServiceUnavailable(f"the file cannot be read: {error}") from error
    trouble = _trouble(answer)
    if trouble is not None:
        answer.close()
        raise trouble
    skip = start if answer.status == http.HTTPStatus.OK else 0  # a server without ranges sends it all
    return _pieces(answer, skip, length)


def _get(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Return the answer of the server, after redirects within it."""
    for _ in range(_MOST_REDIRECTS + 1):
        parts = urlsplit(url)
        connection = _CheckedConnection(parts.hostname or "", parts.port, parts.scheme == "https")
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/", headers=headers)
        answer = connection.getresponse()
        if answer.status not in _REDIRECTS:
            return answer
        answer.close()
        following = urljoin(url, answer.headers.get("Location", ""))
        if _origin(following) != _origin(url):
            raise OSError("the server redirects to another one, which is not followed")
        url = following
    raise OSError("the server redirects without end")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class _CheckedConnection(http.client.HTTPConnection):
    """A connection to an address that may be connected to."""

    def __init__(self, host: str, port: int | None, is_tls: bool) -> None:
        super().__init__(host, port or (443 if is_tls else 80), timeout=_PATIENCE_S)
        self.default_port = 443 if is_tls else 80  # the header Host names no port that goes without saying
        self._is_tls = is_tls

    def connect(self) -> None:
        plain = web_addresses.connect(self.host, self.port, _PATIENCE_S, _allowed)
        if not self._is_tls:
            self.sock = plain
            return
        try:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise


def _trouble(answer: http.client.HTTPResponse) -> NotFound | ServiceUnavailable | None:
    encoding = answer.headers.get("Content-Encoding", "identity")
    if answer.status in _GONE:
        return NotFound("the content of this file is gone")
    if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES:
        return ServiceUnavailable(f"the file cannot be read: the server answers {answer.status}")
    if encoding.strip().lower() != "identity":
        return ServiceUnavailable(f"the file cannot be read: the server sends it encoded ({encoding[:40]})")
    if (answer.length or 0) > MOST_BYTES:
        return ServiceUnavailable(f"the file cannot be read: it has more than {MOST_BYTES} bytes")
    return None


def _pieces(answer: http.client.HTTPResponse, skip: int, length: int | None) -> Iterator[bytes]:
    """Yield what is asked for. Raises ServiceUnavailable if the answer ends before its Content-Length."""
    watched = _WatchedAnswer(answer)
    with answer:
        while skip and (piece := watched.read(min(skip, _PIECE))):
            skip -= len(piece)
        while (length is None or length > 0) and (
            piece := watched.read(_PIECE if length is None else min(_PIECE, length))
        ):
            length = None if length is None else length - len(piece)
            yield piece


class _WatchedAnswer:
    """An answer that has to come whole, fast enough, and in bounds."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer, self._read, self._waited_s = answer, 0, 0.0

    def read(self, most: int) -> bytes:
        """Return the next bytes; b"" only at the true end, which `HTTPResponse.read1` cannot tell from a broken one."""
        expected = self._answer.length  # bytes still to come; None when only the end of the connection tells
        began = time.monotonic()
        try:
            piece = self._answer.read1(most)
        except (OSError, http.client.HTTPException) as error:
            raise ServiceUnavailable(f"the file cannot be read: {error}") from error
        self._waited_s += time.monotonic() - began  # not the time that our own client takes
        self._read += len(piece)
        if not piece and expected:
            raise ServiceUnavailable(f"the file cannot be read: the server broke off, {expected} bytes before its end")
        if self._read > MOST_BYTES:
            raise ServiceUnavailable(f"the file cannot be read: it has more than {MOST_BYTES} bytes")
        is_slow = self._read < (self._waited_s - _PATIENCE_S) * _LEAST_PACE
        if is_slow or self._waited_s > _MOST_S:
            raise ServiceUnavailable("the file cannot be read: the server sends it too slowly")
        return piece
