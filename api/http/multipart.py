"""A form with one file, read as it comes: its bytes go where they are kept, and nowhere else first.

The web framework's own reading would write the file to the temporary folder, and only then hand it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask import request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from api.http import transfer
from scheduler.errors import InvalidInput
from scheduler.files.local_storage import PIECE

_QUOTED_NAME = re.compile(r';\s*+filename="((?:[^"\\]|\\.)*+)"', re.IGNORECASE)
_OTHER_NAME = "filename*="
_ESCAPED = re.compile(r'\\(["\\])')

_MOST_HEAD = 64 * 1024
"""Bytes that a form may have around its file."""

_MOST_HELD = 2 * PIECE
"""Bytes that are held while no event comes of them, such as a head without an end."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file of a form: the name and media type that its sender gives it, None where it has none, and its bytes."""

    file_name: str
    media_type: str | None
    pieces: Iterator[bytes]


def one_file(field: str, limit: int) -> FilePart:
    """Return the only part of the form that this request sends: a file of up to `limit` bytes.

    Raises 415 for what is no form, InvalidInput for another form; also while the pieces are read, if the form goes on behind the
    file or breaks off, so that nothing may be kept of it before they have ended.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise UnsupportedMediaType(f"send a form (multipart/form-data) with the file in its field {field}")
    events = _events(MultipartDecoder(boundary.encode("latin-1", "replace"), max_parts=2), limit + _MOST_HEAD)
    first = next((event for event in events if isinstance(event, (File, Field))), None)
    if not isinstance(first, File) or first.name != field:
        raise InvalidInput(f"the form has exactly one part, the file, in the field {field}", field=field)
    transfer.check_part(first.headers)
    return FilePart(_file_name(first), _media_type(first.headers), _content(events, field, limit))


def _file_name(part: File) -> str:
    r"""Return the name that a part gives its file, "" for none.

    Browsers and most clients write a backslash as it is, and a quote as %22; others write `\\` and `\"`. Both are read.
    """
    disposition = part.headers.get("Content-Disposition", "")
    found = _QUOTED_NAME.search(disposition)
    if found is None or _OTHER_NAME in disposition[found.end() :].lower():
        return part.filename or ""
    return _ESCAPED.sub(r"\1", found[1]).replace("%22", '"')


def _content(events: Iterator[Event], field: str, limit: int) -> Iterator[bytes]:
    size = 0
    for event in events:
        if isinstance(event, (File, Field)):
            raise InvalidInput(f"the form has exactly one part, the file, in the field {field}", field=field)
        if isinstance(event, Data):
            size += len(event.data)
            if size > limit:
                raise RequestEntityTooLarge
            yield bytes(event.data)


def _events(decoder: MultipartDecoder, limit: int) -> Iterator[Event]:
    pieces = transfer.body_pieces(limit)
    held = 0
    while True:
        try:
            event = decoder.next_event()
        except ValueError as error:
            raise InvalidInput("the body is no whole form: it breaks off, or its boundary is another one") from error
        if isinstance(event, NeedData):
            piece = next(pieces, None)
            held += len(piece or b"")
            if held > _MOST_HELD:
                raise InvalidInput("the head of a part of the form is too long")
            decoder.receive_data(piece)
            continue
        held = 0
        if isinstance(event, Epilogue):
            return
        yield event


def _media_type(headers: Headers) -> str | None:
    return headers.get("Content-Type", "").partition(";")[0].strip() or None
