"""Workspaces on the web: `https://host/folder`, read only. Files there are registered, never written or removed."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib import error as urllib_error
from urllib import request
from urllib.parse import quote, urlsplit

from scheduler.errors import InvalidInput, NotFound, ServiceUnavailable

_PIECE = 1024 * 1024
_PATIENCE_S = 60.0
_GONE = {404, 410}


def check(url: str) -> None:
    """Raise InvalidInput for a URL that has no host, or that has credentials or a query."""
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidInput("a workspace on the web is http(s)://host/folder, without credentials or query", field="url")


def address(url: str, path: str) -> str:
    """Return the URL of a file."""
    return f"{url.rstrip('/')}/{quote(path)}"


def read(url: str, path: str, start: int, length: int | None) -> Iterator[bytes]:
    """Yield bytes of a file from `start` on, to its end without a length. Raises NotFound, ServiceUnavailable at once."""
    if length == 0:
        return iter(())
    asked = request.Request(address(url, path))  # noqa: S310 - the scheme was checked when the workspace was made
    if start or length is not None:
        asked.add_header("Range", f"bytes={start}-" + ("" if length is None else str(start + length - 1)))
    try:
        answer = request.urlopen(asked, timeout=_PATIENCE_S)  # noqa: S310
    except urllib_error.HTTPError as error:
        if error.code in _GONE:
            raise NotFound("the content of this file is gone") from None
        raise ServiceUnavailable(f"the file cannot be read: the server answers {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise ServiceUnavailable(f"the file cannot be read: {error}") from error
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        answer.close()
        raise ServiceUnavailable(f"the file cannot be read: the server sends it encoded ({encoding[:40]})")
    skip = start if answer.status == http.HTTPStatus.OK else 0  # a server without ranges sends it all
    return _pieces(answer, skip, length)


def _pieces(answer: http.client.HTTPResponse, skip: int, length: int | None) -> Iterator[bytes]:
    """Yield what is asked for. Raises ServiceUnavailable if the answer ends before its Content-Length."""
    with answer:
        while skip and (piece := _read(answer, min(skip, _PIECE))):
            skip -= len(piece)
        while (length is None or length > 0) and (
            piece := _read(answer, _PIECE if length is None else min(_PIECE, length))
        ):
            length = None if length is None else length - len(piece)
            yield piece


def _read(answer: http.client.HTTPResponse, most: int) -> bytes:
    """Return the next bytes; b"" only at the true end, which `HTTPResponse.read(most)` cannot tell from a broken one."""
    expected = answer.length  # bytes still to come; None when only the end of the connection tells
    try:
        piece = answer.read(most)
    except (OSError, http.client.HTTPException) as error:
        raise ServiceUnavailable(f"the file cannot be read: {error}") from error
    if not piece and expected:
        raise ServiceUnavailable(f"the file cannot be read: the server broke off, {expected} bytes before its end")
    return piece
