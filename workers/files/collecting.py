"""Collecting: the post phase finds the declared outputs, makes sure that they are what they seem, and uploads them.

Programs are not trusted here. The process tree is dead by now, but it may have left links, pipes, devices, other
people's files, or names that lead out of the directory. So every file is opened from one directory descriptor
downward and never through a link, and only a regular file with one name that belongs to the job's user counts.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event as Flag

from scheduler.documents import Document
from scheduler.errors import GangerError
from scheduler.wire import OutputSpec, OutputValue, TaskSpec
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable, UploadFile
from workers.events import ExecutionFailure, OutputsCollected
from workers.files import manifest
from workers.files.globs import file_names, matcher
from workers.files.manifest import ManifestError, OutputManifest
from workers.paths import ExecutionKey, Paths

_MOST_ENTRIES = 100_000
_PIECE_BYTES = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Failed(Exception):
    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.failure = ExecutionFailure(error, message)


@dataclass(frozen=True, slots=True)
class CollectingTask:
    """Where to collect, and whose files count. Others set `stop` to have the work given up."""

    api: ApiClient
    paths: Paths
    uid: int | None
    stop: Flag


@dataclass(frozen=True, slots=True)
class _OutputFile:
    """A file below the output directory, by its path there. It is open until it is uploaded."""

    path: str
    fd: int
    size: int


def is_light(spec: TaskSpec, paths: Paths) -> bool:
    """Return whether collecting takes no time: no outputs are declared and no manifest was written."""
    key = spec.execution_id, spec.attempt
    return not spec.outputs and not os.path.lexists(f"{paths.outputs(key)}/{manifest.NAME}")


def collect(spec: TaskSpec, collecting: CollectingTask) -> OutputsCollected:
    """Check and upload the outputs that the interface declares. The same outputs may be uploaded again without harm."""
    key: ExecutionKey = spec.execution_id, spec.attempt
    try:
        folder = _open_folder(key, collecting.paths)
    except OSError:
        return OutputsCollected(
            key, failure=ExecutionFailure("invalid-output", "The output directory is gone or is a link.")
        )
    try:
        said = _manifest(folder, collecting.uid)
        values = [_publish(spec, output, folder, said.properties, collecting) for output in spec.outputs]
    except _Failed as failed:
        return OutputsCollected(key, failure=failed.failure)
    except re.error as error:
        return OutputsCollected(
            key, failure=ExecutionFailure("invalid-output", f"A glob of the job type is not understood: {error}.")
        )
    except OSError as error:
        return OutputsCollected(
            key, failure=ExecutionFailure("invalid-output", f"Outputs cannot be read: {error.strerror}.")
        )
    finally:
        os.close(folder)
    outputs = [value for value in values if value is not None]
    return OutputsCollected(key, outputs, said.properties, said.message)


def _open_folder(key: ExecutionKey, paths: Paths) -> int:
    attempt = os.open(paths.attempt(key), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.open("out", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=attempt)
    finally:
        os.close(attempt)


def _manifest(folder: int, uid: int | None) -> OutputManifest:
    try:
        os.stat(manifest.NAME, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return OutputManifest()
    found = _open_file(manifest.NAME, manifest.NAME, folder, uid)
    try:
        if found.size > manifest.MOST_BYTES:
            raise _Failed("invalid-output", f"{manifest.NAME} is larger than {manifest.MOST_BYTES} bytes.")
        return manifest.read(os.pread(found.fd, manifest.MOST_BYTES, 0))
    except ManifestError as error:
        raise _Failed("invalid-output", str(error)) from error
    finally:
        os.close(found.fd)


def _publish(
    spec: TaskSpec, output: OutputSpec, folder: int, properties: Document, collecting: CollectingTask
) -> OutputValue | None:
    if output.type == "property":
        if output.name in properties:
            return OutputValue(name=output.name, value=properties[output.name])
        _absent(output, f"The program did not set the output property {output.name!r}.")
        return None
    found = _find(output, folder, collecting.uid)
    try:
        _check_count(output, found)
        names = file_names([one.path for one in found])
        ids = [_upload(spec, output, one, name, collecting) for one, name in zip(found, names, strict=True)]
    finally:
        for one in found:
            os.close(one.fd)
    if not ids:
        return None
    if output.type == "file":
        return OutputValue(name=output.name, file_id=ids[0])
    return OutputValue(name=output.name, file_ids=ids)


def _absent(output: OutputSpec, sentence: str) -> None:
    if output.required:
        raise _Failed("missing-output", sentence)


def _check_count(output: OutputSpec, found: Sequence[_OutputFile]) -> None:
    if not found:
        _absent(output, f"The program left no file for the output {output.name!r}.")
    if output.type == "file" and len(found) > 1:
        names = ", ".join(one.path for one in found[:3])
        raise _Failed("invalid-output", f"The output {output.name!r} is one file, but {len(found)} match: {names}.")


def _find(output: OutputSpec, folder: int, uid: int | None) -> list[_OutputFile]:
    """Return the output's files by name, each open and known to be the job's own regular file."""
    matches = matcher(output)
    found: list[_OutputFile] = []
    try:
        entries = 0
        for root, directories, files, fd in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
            entries += len(directories) + len(files)
            _check_entries(entries)
            links = [name for name in directories if stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode)]
            for name in (*files, *links):
                path = name if root == "." else f"{root[2:]}/{name}"
                if matches(path):
                    found.append(_open_file(path, name, fd, uid))
    except BaseException:
        _close(found)
        raise
    return sorted(found, key=lambda one: one.path)


def _check_entries(entries: int) -> None:
    if entries > _MOST_ENTRIES:
        raise _Failed("invalid-output", f"There are more than {_MOST_ENTRIES} files in the output directory.")


def _close(found: Sequence[_OutputFile]) -> None:
    for one in found:
        os.close(one.fd)


def _open_file(path: str, name: str, folder: int, uid: int | None) -> _OutputFile:
    try:
        fd = os.open(name, _OPEN, dir_fd=folder)
    except OSError as error:
        raise _Failed("invalid-output", f"The output {path!r} is a link or cannot be opened.") from error
    state = os.fstat(fd)
    owner = os.geteuid() if uid is None else uid
    trouble = None
    if not stat.S_ISREG(state.st_mode):
        trouble = "is not a regular file"
    elif state.st_uid != owner:
        trouble = "belongs to another user"
    elif state.st_nlink != 1:
        trouble = "has more than one name"
    if trouble is not None:
        os.close(fd)
        raise _Failed("invalid-output", f"The output {path!r} {trouble}.")
    return _OutputFile(path, fd, state.st_size)


def _upload(spec: TaskSpec, output: OutputSpec, found: _OutputFile, name: str, collecting: CollectingTask) -> int:
    media_type = output.media_type or mimetypes.guess_type(found.path)[0] or "application/octet-stream"
    file = UploadFile(found.fd, output.name, name, media_type, _hash(found, collecting.stop), found.size)
    backoff = JitteredBackoff()
    while True:
        _check(collecting.stop)
        try:
            return collecting.api.upload((spec.execution_id, spec.attempt), spec.token, file)
        except ServerUnreachable:
            collecting.stop.wait(backoff.wait_s())
        except (ServerRefused, GangerError) as error:
            raise _Failed("invalid-output", f"The output {found.path!r} was not taken: {error}") from error


def _hash(found: _OutputFile, stop: Flag) -> str:
    digest, offset = hashlib.sha256(), 0
    while offset < found.size and (piece := os.pread(found.fd, _PIECE_BYTES, offset)):
        _check(stop)
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()


def _check(stop: Flag) -> None:
    if stop.is_set():
        raise _Failed("invalid-output", "Collecting was stopped.")
