"""Bytes over HTTP: bodies are read in pieces, files are sent whole or in part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

from flask import Response, request
from werkzeug.datastructures import Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from scheduler.files.files import Content
from scheduler.files.storage import PIECE


def body_pieces(limit: int) -> Iterator[bytes]:
    """Yield the request's body in pieces, without holding it; more than `limit` bytes end in 413."""
    request.max_content_length = limit
    stream = request.stream
    while piece := stream.read(PIECE):
        yield piece


def send(size: int, name: str, media_type: str, sha256: str, read: Callable[[int, int], Content]) -> Response:
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
    return Response(content.pieces, 206 if partial else 200, headers, content_type=media_type, direct_passthrough=True)


def _part(asked: Range | None, size: int) -> tuple[int, int]:
    """Return the part to send as [start, end); several ranges or another unit get the whole, as HTTP allows."""
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size
    found = asked.range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found[0], found[1]
