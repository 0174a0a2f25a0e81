"""Files: uploads and outputs, and the way there and back, checked by SHA-256."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ganger import paging
from ganger.endpoints import uploading
from ganger.errors import ClientError
from ganger.paging import Filter
from ganger.records import File
from ganger.transport import Call, Transport

PIECE_BYTES = 1 << 20
# mimetypes knows what the machine's own tables say; these are common in our field and often missing there.
MEDIA_TYPES = {".kml": "application/vnd.google-earth.kml+xml", ".geojson": "application/geo+json", ".csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class FilesEndpoint:
    """The files that the token may see."""

    _transport: Transport

    def upload(
        self, source: Path, *, name: str | None = None, media_type: str | None = None, project: str | None = None
    ) -> File:
        """Send a file and return it, with the SHA-256 that the API computed.

        A connection that breaks is tried again; at worst a file that nobody refers to is left behind.
        """
        with source.open("rb") as handle:
            return self.upload_from(handle, name=name or source.name, media_type=media_type, project=project)

    def upload_many(
        self, sources: Sequence[Path], *, project: str | None = None, changed: Callable[[int], None] | None = None
    ) -> list[File]:
        """Return a file for each path, in their order, and send only what the project does not have already.

        One of the same name and content is used again, so equal inputs are stored once. `changed` is called with the number
        of paths that are done.
        """
        return uploading.send_missing(self, sources, project=project, changed=changed)

    def upload_from(
        self, handle: IO[bytes], *, name: str, media_type: str | None = None, project: str | None = None
    ) -> File:
        """Send what an open, seekable file holds, from its beginning; the API refuses what arrives damaged."""
        handle.seek(0)
        about = {
            "file_name": os.fsencode(name).decode("utf-8", "replace"),  # a name may hold bytes that are no UTF-8
            **({"project": project} if project else {}),
            "media_type": media_type or media_type_of(name),
            "sha256": hashlib.file_digest(handle, "sha256").hexdigest(),  # type: ignore[arg-type]  # any binary file will do
        }
        call = Call(
            "POST",
            "/files/",
            params=tuple(about.items()),
            file=handle,
            headers={"Content-Type": "application/octet-stream"},
            repeatable=True,
        )
        return File.read(self._transport.json(call))

    def get(self, file_id: int) -> File:
        """Return what is known of a file. Raises NotFound."""
        return File.read(self._transport.json(Call("GET", f"/files/{file_id}/")))

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[File]:
        """Yield files page by page."""
        return paging.every(self._transport, File, "/files/", paging.params(filters), limit=limit)

    def delete(self, file_id: int) -> None:
        """Remove a file. Raises NotFound, Conflict while a job needs it."""
        self._transport.send(Call("DELETE", f"/files/{file_id}/"))

    def read(self, file_id: int) -> bytes:
        """Return the content of a file that fits into memory."""
        return self._transport.send(_content(file_id)).content

    @contextmanager
    def open(self, file_id: int) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of a file's content, of any size. Raises NotFound."""
        with self._transport.stream(_content(file_id)) as response:
            yield response.iter_bytes(PIECE_BYTES)

    def download(self, file_id: int, target: Path) -> File:
        """Write a file's content to `target`, whole or not at all. Raises ClientError when its SHA-256 is another."""
        file = self.get(file_id)
        digest = hashlib.sha256()
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as written, self._transport.stream(_content(file_id)) as response:
                for piece in response.iter_bytes(PIECE_BYTES):
                    digest.update(piece)
                    written.write(piece)
            _check(file, digest.hexdigest())
            Path(draft).chmod(0o666 & ~_umask())
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return file


def media_type_of(name: str) -> str:
    """Return the media type that a file's name suggests."""
    known = MEDIA_TYPES.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0]
    return known or "application/octet-stream"


def _check(file: File, sha256: str) -> None:
    if file.sha256 not in {None, sha256}:
        raise ClientError(f"file {file.id} arrived damaged: its SHA-256 is not what the API says")


def _content(file_id: int) -> Call:
    return Call("GET", f"/files/{file_id}/content/", headers={"Accept": "*/*", "Accept-Encoding": "identity"})


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
