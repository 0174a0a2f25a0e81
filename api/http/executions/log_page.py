"""The output of a program as a page: text as it is, standard error in red. Markup in it stays text."""

from __future__ import annotations

import base64
import codecs
import hashlib
import html
from collections.abc import Iterable, Iterator

from flask import Response

from scheduler.executions.output import OutputPiece

_STYLE = "pre{white-space:pre-wrap;overflow-wrap:anywhere}.stderr{color:#c00}"
_HEAD = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Output</title><style>{_STYLE}</style><pre>'
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'"


def respond(pieces: Iterable[OutputPiece]) -> Response:
    """Return the page of these pieces, sent as they are read."""
    headers = {"Content-Security-Policy": _POLICY}
    return Response(_page(pieces), headers=headers, content_type="text/html; charset=utf-8")


def _page(pieces: Iterable[OutputPiece]) -> Iterator[bytes]:
    """A character that is cut by the end of a piece comes with the next one of its stream."""
    decoders: dict[tuple[str, str], codecs.IncrementalDecoder] = {}
    yield _HEAD.encode()
    for piece in pieces:
        decoder = decoders.setdefault((piece.phase, piece.stream), codecs.getincrementaldecoder("utf-8")("replace"))
        text = html.escape(decoder.decode(piece.data))
        yield (f'<span class="stderr">{text}</span>' if piece.stream == "stderr" else text).encode()
    yield b"</pre></html>\n"
