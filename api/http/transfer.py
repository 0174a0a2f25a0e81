"""Bytes over HTTP: bodies are read in pieces and taken whole or not at all; files are sent whole or in part."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import Headers, Range
from werkzeug.exceptions import ClientDisconnected, RequestedRangeNotSatisfiable, UnsupportedMediaType

from scheduler.errors import ServiceUnavailable
from scheduler.files.files import FileContent
from scheduler.files.storage import PIECE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_PLAIN = frozenset({"", "identity"})
_PLAIN_PART = _PLAIN | {"7bit", "8bit", "binary"}


def install(app: Flask) -> None:
    """Let no request's body pass that is encoded, or that ends before its time."""
    app.before_request(_guard_body)


def check_part(headers: Headers) -> None:
    """Raise 415 for a part of a form whose bytes are not the file itself: they are compressed, or written in base64."""
    for name, plain in (("Content-Encoding", _PLAIN), ("Content-Transfer-Encoding", _PLAIN_PART)):
        if headers.get(name, "").strip().lower() not in plain:
            raise EncodedBodyError(
                f"{name} of the part {headers[name][:40]!r} is not taken: send the bytes as they are"
            )


class EncodedBodyError(UnsupportedMediaType):
    """415 for an encoding; the answer says that only bytes as they are can be sent."""

    def get_headers(
        self,
        environ: WSGIEnvironment | None = None,
        scope: dict[str, object] | None = None,
    ) -> list[tuple[str, str]]:
        """Return the headers of the answer."""
        return [*super().get_headers(environ, scope), ("Accept-Encoding", "identity")]


class WholeBody(io.RawIOBase):
    """A request's body that must come whole: when it ends early, reading it raises ClientDisconnected, which is a 400.

    The web server ends such a body as if it were complete. `length` in bytes is None for a body that comes in chunks.
    """

    def __init__(self, stream: IO[bytes], length: int | None) -> None:
        self._stream, self._left = stream, length

    def readable(self) -> bool:
        """Return True: bodies can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's own buffer type is private
        """Read the next bytes into `buffer`; 0 at the end of a whole body."""
        most = len(buffer) if self._left is None else min(len(buffer), self._left)
        if most == 0:
            return 0
        try:
            piece = self._stream.read(most)
        except (OSError, ParseException) as error:
            raise ClientDisconnected from error
        if self._left is not None:
            if not piece:
                raise ClientDisconnected
            self._left -= len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def whole(pieces: Iterable[bytes], length: int) -> Iterator[bytes]:
    """Yield the pieces; raises Unavailable if they are not `length` bytes in all, so that no half file looks whole."""
    for piece in pieces:
        length -= len(piece)
        yield piece
    if length:
        raise ServiceUnavailable("the content of this file is shorter than it was")


def body_pieces(limit: int) -> Iterator[bytes]:
    """Yield the request's body in pieces, without holding it; more than `limit` bytes end in 413."""
    request.max_content_length = limit
    stream = request.stream
    while piece := stream.read(PIECE):
        yield piece


def send(size: int, name: str, media_type: str, sha256: str, read: Callable[[int, int], FileContent]) -> Response:
    """Return a file as a download, honouring Range and If-None-Match; `read(start, length)` opens it."""
    etag = f'"{sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        # What users upload is data, never a page of this site.
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    if request.if_none_match.contains(sha256):
        return Response(status=304, headers={"ETag": etag})
    start, end = _part(request.range, size)
    content = read(start, end - start)
    partial = (start, end) != (0, size)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    pieces = whole(content.pieces, end - start)
    return Response(pieces, 206 if partial else 200, headers, content_type=media_type, direct_passthrough=True)


def _part(asked: Range | None, size: int) -> tuple[int, int]:
    """Return the part to send as [start, end); several ranges or another unit get the whole, as HTTP allows."""
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size
    found = asked.range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found[0], found[1]


def _guard_body() -> None:
    encoding = request.headers.get("Content-Encoding", "").strip()
    if encoding.lower() not in _PLAIN:
        raise EncodedBodyError(f"Content-Encoding {encoding[:40]!r} is not taken: send the bytes as they are")
    stream = request.environ.get("wsgi.input")
    if stream is not None:
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        request.environ["wsgi.input"] = WholeBody(stream, None if chunked else request.content_length or 0)
