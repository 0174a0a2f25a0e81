"""Uploading outputs: small files travel together, hundreds in one request; a large one has a request of its own."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from threading import Event as Flag
from typing import Final, TypeVar

from scheduler.errors import GangerError
from scheduler.identifiers import FileId
from scheduler.wire import MAX_BULK_BYTES, MAX_BULK_FILES, BulkOutput, BulkOutputs, OutputSpec, TaskSpec
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable, UploadFile
from workers.files import found_outputs
from workers.files.found_outputs import FoundFile, OutputRefusedError
from workers.files.globs import file_names

T = TypeVar("T")

_SMALL_BYTES: Final = 256 << 10
"""A larger file has a request of its own."""
_PIECE_BYTES: Final = 1 << 20


class OutputUpload:
    """Uploads the outputs of one execution; `folder` is its open output directory."""

    def __init__(self, api: ApiClient, spec: TaskSpec, folder: int, stop: Flag) -> None:
        """`stop` gives the work up: OutputRefusedError is raised soon after it is set."""
        self._api, self._spec, self._folder, self._stop = api, spec, folder, stop
        self._waiting: list[tuple[BulkOutput, bytes]] = []

    def check(self) -> None:
        """Raise OutputRefusedError if the work is given up."""
        if self._stop.is_set():
            raise OutputRefusedError("invalid-output", "Collecting was stopped.")

    def upload(self, files: Sequence[tuple[OutputSpec, FoundFile]]) -> Iterator[FileId]:
        """Upload files, and return the id of each, in order. Raises OutputRefusedError, OSError."""
        names = _names(files)
        ids: list[FileId] = []
        for (output, file), name in zip(files, names, strict=True):
            self.check()
            media_type = output.media_type or mimetypes.guess_type(file.path)[0] or "application/octet-stream"
            if file.size > _SMALL_BYTES:
                ids += self._flush()
                ids.append(self._upload_alone(output.name, file.path, name, media_type))
                continue
            content = self._content(file.path)
            if not self._has_room(len(content)):
                ids += self._flush()
            digest = hashlib.sha256(content).hexdigest()
            one = BulkOutput(
                output=output.name, file_name=name, media_type=media_type, sha256=digest, size=len(content)
            )
            self._waiting.append((one, content))
        return iter([*ids, *self._flush()])

    def _content(self, path: str) -> bytes:
        fd = found_outputs.open_found(self._folder, path)
        try:
            return os.pread(fd, _SMALL_BYTES, 0)
        finally:
            os.close(fd)

    def _has_room(self, size: int) -> bool:
        held = sum(one.size for one, _ in self._waiting)
        return len(self._waiting) < MAX_BULK_FILES and held + size <= MAX_BULK_BYTES

    def _flush(self) -> list[FileId]:
        """Send the small files that wait; return their ids, in order."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return []
        spec = self._spec
        message = BulkOutputs(
            execution_id=spec.execution_id, attempt=spec.attempt, token=spec.token, files=[one for one, _ in waiting]
        )
        content = b"".join(content for _, content in waiting)
        where = f"{len(waiting)} outputs from {found_outputs.shown(waiting[0][0].file_name)} on"
        return self._patiently(lambda: self._api.upload_many(message, content), where)

    def _upload_alone(self, output: str, path: str, name: str, media_type: str) -> FileId:
        fd = found_outputs.open_found(self._folder, path)
        try:
            size = os.fstat(fd).st_size
            file = UploadFile(fd, output, name, media_type, self._digest(fd, size), size, self.check)
            key = self._spec.execution_id, self._spec.attempt
            return self._patiently(
                lambda: FileId(self._api.upload(key, self._spec.token, file)), found_outputs.shown(path)
            )
        finally:
            os.close(fd)

    def _digest(self, fd: int, size: int) -> str:
        digest, offset = hashlib.sha256(), 0
        while offset < size and (piece := os.pread(fd, _PIECE_BYTES, offset)):
            self.check()
            digest.update(piece)
            offset += len(piece)
        return digest.hexdigest()

    def _patiently(self, send: Callable[[], T], what: str) -> T:
        """Send until the API has answered. Raises OutputRefusedError if it refuses, or if the work is given up."""
        backoff = JitteredBackoff()
        while True:
            self.check()
            try:
                return send()
            except ServerUnreachable:
                self._stop.wait(backoff.wait_s())
            except (ServerRefused, GangerError) as error:
                raise OutputRefusedError("invalid-output", f"The output {what} was not taken: {error}") from error


def _names(files: Sequence[tuple[OutputSpec, FoundFile]]) -> list[str]:
    """Return the name that each file gets; those of one output differ."""
    by_output: dict[str, list[str]] = {}
    for output, file in files:
        by_output.setdefault(output.name, []).append(file.path)
    named = {output: iter(file_names(paths)) for output, paths in by_output.items()}
    return [next(named[output.name]) for output, _ in files]
