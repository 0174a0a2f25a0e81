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

import orjson

from scheduler.documents import Document, JsonValue
from scheduler.errors import GangerError
from scheduler.wire import MAX_DEPTH, OutputSpec, OutputValue, TaskSpec, can_travel
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable, UploadFile
from workers.events import ExecutionFailure, OutputsCollected
from workers.files.globs import file_names, matcher
from workers.paths import ExecutionKey, Paths

MANIFEST = "results.json"
"""An object with the optional members `properties` (object) and `message` (text), written by the program."""
_TOO_ODD = f"holds a NUL character, a number over 63 bits, or more than {MAX_DEPTH} levels"

_MANIFEST_BYTES = 1 << 20
_MOST_ENTRIES = 100_000
_MESSAGE_CHARACTERS = 2000
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
class _Manifest:
    """The contents of the program's manifest."""

    properties: Document
    message: str


@dataclass(frozen=True, slots=True)
class _OutputFile:
    """A file below the output directory, by its path there. It is open until it is uploaded."""

    path: str
    fd: int
    size: int


def is_light(spec: TaskSpec, paths: Paths) -> bool:
    """Return whether collecting takes no time: no outputs are declared and no manifest was written."""
    key = spec.execution_id, spec.attempt
    return not spec.outputs and not os.path.lexists(f"{paths.outputs(key)}/{MANIFEST}")


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
        manifest = _manifest(folder, collecting.uid)
        values = [_publish(spec, output, folder, manifest.properties, collecting) for output in spec.outputs]
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
    return OutputsCollected(key, outputs, manifest.properties, manifest.message)


def _open_folder(key: ExecutionKey, paths: Paths) -> int:
    attempt = os.open(paths.attempt(key), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.open("out", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=attempt)
    finally:
        os.close(attempt)


def _manifest(folder: int, uid: int | None) -> _Manifest:
    try:
        os.stat(MANIFEST, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return _Manifest({}, "")
    found = _open_file(MANIFEST, MANIFEST, folder, uid)
    try:
        if found.size > _MANIFEST_BYTES:
            raise _Failed("invalid-output", f"{MANIFEST} is larger than {_MANIFEST_BYTES} bytes.")
        body = orjson.loads(os.pread(found.fd, _MANIFEST_BYTES, 0))
    except orjson.JSONDecodeError as error:
        raise _Failed("invalid-output", f"{MANIFEST} is not JSON: {error}.") from error
    finally:
        os.close(found.fd)
    return _members(body)


def _members(body: JsonValue) -> _Manifest:
    if isinstance(body, dict):
        properties, message = body.get("properties", {}), body.get("message", "")
        if isinstance(properties, dict) and isinstance(message, str):
            if not can_travel(properties):
                raise _Failed("invalid-output", f"A value in {MANIFEST} {_TOO_ODD}.")
            return _Manifest(properties, message[:_MESSAGE_CHARACTERS])
    raise _Failed("invalid-output", f"{MANIFEST} must be an object with 'properties' (object) and 'message' (text).")


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
