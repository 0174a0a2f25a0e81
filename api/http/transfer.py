"""Bytes over HTTP: bodies are read in pieces and taken whole or not at all; files are sent whole or in part."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from flask import Flask, Response, g, request
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestTimeout, UnsupportedMediaType
from werkzeug.wsgi import ClosingIterator

from api.http import api_runtime, ranges
from api.http.auth import TokenWatch
from api.http.ranges import RangeConditions
from api.http.serving import thread_shares
from api.http.serving.gunicorn_worker import SMALL_BODY
from api.http.serving.paced_socket import Pace, PacedSocket, TooSlowError
from api.http.serving.thread_shares import HeldShare
from scheduler.errors import ServiceUnavailable
from scheduler.files.files import FileContent
from scheduler.files.local_storage import PIECE
from scheduler.identity import Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LARGE_ANSWER = 256 * 1024
"""Files larger than this may keep a thread until the client has taken them; smaller ones fit into what the system buffers."""

_PLAIN = frozenset({"", "identity"})
_PLAIN_PART = _PLAIN | {"7bit", "8bit", "binary"}


def install(app: Flask) -> None:
    """Let no request's body pass that is encoded, or that ends before its time."""
    app.before_request(_guard_body)
    app.teardown_request(_give_back)


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

    def __init__(self, stream: IO[bytes], length: int | None, begin: Callable[[], None] = lambda: None) -> None:
        self._stream, self._left = stream, length
        self._begin: Callable[[], None] | None = begin

    @property
    def is_counted(self) -> bool:
        """Whether its length is known, so that it needs no bound while it comes."""
        return self._left is not None

    def readable(self) -> bool:
        """Return True: bodies can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's own buffer type is private
        """Read the next bytes into `buffer`; 0 at the end of a whole body."""
        most = len(buffer) if self._left is None else min(len(buffer), self._left)
        if most == 0:
            return 0
        if self._begin is not None:
            begin, self._begin = self._begin, None
            begin()
        try:
            piece = self._stream.read(most)
        except TooSlowError:
            raise RequestTimeout("the body comes too slowly") from None
        except (OSError, ParseException) as error:
            raise ClientDisconnected from error
        if self._left is not None:
            if not piece:
                raise ClientDisconnected
            self._left -= len(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield what is left as it comes, at most PIECE bytes at once.

        Of a body whose length is known they come from the connection itself: read through the layers of the web server, each byte
        would be copied half a dozen times.
        """
        body = self._stream
        reader = body.reader if isinstance(body, Body) else None
        if isinstance(body, Body) and isinstance(reader, LengthReader) and not body.buf.tell():
            yield from self._received(body, reader)
        else:
            yield from iter(lambda: self.read(PIECE) or b"", b"")

    def _received(self, body: Body, reader: LengthReader) -> Iterator[bytes]:
        if self._left and self._begin is not None:
            begin, self._begin = self._begin, None
            begin()
        held = reader.unreader.take_buffered()  # what came with the head, and maybe the beginning of another request
        reader.unreader.unread(held[reader.length :])
        piece = held[: reader.length]
        while self._left:
            try:
                piece = piece or reader.unreader.sock.recv(min(reader.length, PIECE))
            except TooSlowError:
                body.failed = True
                raise RequestTimeout("the body comes too slowly") from None
            except OSError as error:
                body.failed = True
                raise ClientDisconnected from error
            if not piece:
                body.failed = True
                raise ClientDisconnected
            reader.length -= len(piece)
            self._left -= len(piece)
            yield piece
            piece = b""


def whole(pieces: Iterable[bytes], length: int) -> Iterator[bytes]:
    """Yield the pieces; raises Unavailable if they are not `length` bytes in all, so that no half file looks whole."""
    for piece in pieces:
        length -= len(piece)
        yield piece
    if length:
        raise ServiceUnavailable("the content of this file is shorter than it was")


def expect_file(limit: int) -> None:
    """Let this request's body be a file of up to `limit` bytes, which may take its time."""
    request.max_content_length = limit
    connection = request.environ.get("gunicorn.socket")
    if isinstance(connection, PacedSocket) and connection.receiving is not None:
        within_s = api_runtime.of_this_app().rt.settings.upload_within_s
        connection.receiving = Pace(_share("body").take, within_s)


@contextmanager
def long_work() -> Iterator[None]:
    """Within it the request holds a share of the threads that may take long, as one whose body does."""
    _share("body").take()
    yield


def body_pieces(limit: int) -> Iterator[bytes]:
    """Yield the request's body in pieces, without holding it; more than `limit` bytes end in 413."""
    expect_file(limit)
    stream = request.stream  # raises 413 for a body that says that it is larger
    body = request.environ.get("wsgi.input")
    is_counted = isinstance(body, WholeBody) and body.is_counted
    pieces = body.pieces() if isinstance(body, WholeBody) and is_counted else iter(lambda: stream.read(PIECE), b"")
    # Else the address was its own credential, which was good when the request began.
    yield from TokenWatch(api_runtime.of_this_app().rt).over(pieces) if "caller" in g else pieces


def send(size: int, name: str, media_type: str, sha256: str, read: Callable[[int, int], FileContent]) -> Response:
    """Return a file as a download, honouring ranges and conditions; `read(start, length)` opens it."""
    etag = f'"{sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        # What users upload is data, never a page of this site.
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    asked = RangeConditions(
        request.method,
        "If-Match" in request.headers,
        request.if_match,
        request.if_none_match,
        request.headers.get("If-Range"),
        request.headers.get("Range"),
    )
    if ranges.is_known(asked, sha256):
        return Response(status=304, headers={"ETag": etag})
    chosen = ranges.part(asked, sha256, size)
    start, end = chosen or (0, size)
    if end - start > LARGE_ANSWER and request.method != "HEAD":
        _share("answer").take()
    content = read(start, end - start)
    if chosen is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    pieces = whole(content.pieces, end - start)
    if "caller" in g:  # else the address was its own credential, and is good for as long as the answer lasts
        pieces = TokenWatch(api_runtime.of_this_app().rt).over(pieces)
    held: HeldShare | None = g.pop("answer_share", None)
    body = pieces if held is None else ClosingIterator(pieces, held.give_back)
    return Response(body, 200 if chosen is None else 206, headers, content_type=media_type, direct_passthrough=True)


def paced(pieces: Iterator[bytes]) -> Iterable[bytes]:
    """Return a long body that is made while it is sent: it has its caller's share of the threads, and ends with his token."""
    held = _share("answer")
    held.take()
    g.pop("answer_share")  # it is given back with the body, not with the request
    return ClosingIterator(TokenWatch(api_runtime.of_this_app().rt).over(pieces), held.give_back)


def _guard_body() -> None:
    encoding = request.headers.get("Content-Encoding", "").strip()
    if encoding.lower() not in _PLAIN:
        raise EncodedBodyError(f"Content-Encoding {encoding[:40]!r} is not taken: send the bytes as they are")
    stream = request.environ.get("wsgi.input")
    if stream is not None:
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        length = None if chunked else request.content_length or 0
        request.environ["wsgi.input"] = WholeBody(stream, length, _pace(length))


def _pace(length: int | None) -> Callable[[], None]:
    """Let the client keep a pace; return what begins the reading: a body that a thread may wait for needs a share of them."""
    connection = request.environ.get("gunicorn.socket")
    if not isinstance(connection, PacedSocket):
        return lambda: None

    def take() -> None:
        _share("body").take()

    connection.receiving = Pace(take, api_runtime.of_this_app().rt.settings.body_within_s)
    return take if length is None or length > SMALL_BODY or connection.late else lambda: None


def _share(kind: str) -> HeldShare:
    """Return this request's share of the threads that may take long, not taken yet."""
    name = f"{kind}_share"
    if name not in g:
        shares = api_runtime.of_this_app().shares[thread_shares.set_of(request.path)]
        caller: Caller | None = g.get("caller")
        setattr(g, name, HeldShare(shares, kind, str(caller.token_id) if caller else request.remote_addr))
    held: HeldShare = getattr(g, name)
    return held


def _give_back(_error: BaseException | None) -> None:
    for name in ("body_share", "answer_share"):
        held: HeldShare | None = g.get(name)
        if held is not None:
            held.give_back()
