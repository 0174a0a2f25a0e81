"""Storage: writes files to workspaces (whole or not at all, hashed on the way) and reads them in pieces.

A workspace is a URL. `file:///folder` is a folder that this process can write, `s3://bucket/prefix` is in an object
store, `http(s)://host/folder` can only be read. Other schemes are refused when the workspace is created.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from scheduler.errors import InvalidInput, NotFound, ServiceUnavailable
from scheduler.files import object_storage, web_storage

MAX_FOLDER, MAX_PART = 3_000, 255
"""Longest path of a workspace (characters) and longest name in it (bytes): the limits of Linux, less room for file names."""

_OBJECTS, _WEB = "s3://", ("http://", "https://")
_OURS = re.compile(r"(?:uploads/\d{4}/\d\d/\d\d|outputs/\d{3}/\d+)/[0-9a-f]{32}\Z")
"""Paths of files that Ganger wrote; all other files of a workspace were there before and are never removed."""

PIECE = 1024 * 1024
"""Bytes read or written at once."""


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """A file in a workspace: its path there, its size in bytes, and its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


def folder(url: str) -> Path:
    """Return the folder of a workspace; raises InvalidInput for a URL that does not name a local folder."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    bad_name = (
        "\0" in path
        or len(path) > MAX_FOLDER
        or any(len(part.encode("utf-8", "replace")) > MAX_PART for part in path.split("/"))
    )
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.startswith("/") or bad_name:
        raise InvalidInput("a workspace's url is file:/// and an absolute folder", field="url")
    return Path(path)


def write(url: str, path: str, pieces: Iterable[bytes]) -> WorkspaceFile:
    """Write a new file durably: to a temporary name, synced, then renamed. Raises ServiceUnavailable if that fails."""
    if url.startswith(_OBJECTS):
        return WorkspaceFile(path, *object_storage.write(url, path, pieces))
    if url.startswith(_WEB):
        raise InvalidInput("a workspace on the web can only be read", field="workspace_id")
    target = _inside(url, path)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _created(beside) as file:
            size, sha256 = _copy(pieces, file)
        beside.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise ServiceUnavailable(f"the file cannot be stored: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return WorkspaceFile(path, size, sha256)


def read(url: str, path: str, start: int, length: int | None) -> Iterator[bytes]:
    """Yield `length` bytes of a file from `start` on, or all that follow. Raises NotFound at once, if there is no file."""
    if url.startswith(_OBJECTS):
        return object_storage.read(url, path, start, length)
    if url.startswith(_WEB):
        return web_storage.read(url, path, start, length)
    try:
        file = _inside(url, path).open("rb")
    except FileNotFoundError:
        raise NotFound("the content of this file is gone") from None
    except OSError as error:
        raise ServiceUnavailable(f"the file cannot be read: {error.strerror}") from error
    return _pieces(file, start, length)


def check(url: str) -> None:
    """Raise InvalidInput for a workspace that cannot be used.

    No folder is created: otherwise a user of the API could create folders anywhere.
    """
    if url.startswith(_OBJECTS):
        object_storage.check(url)
    elif url.startswith(_WEB):
        web_storage.check(url)
    elif not (place := folder(url)).is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise InvalidInput("the folder of this url is not there, or cannot be written", field="url")


def source(url: str, path: str) -> str | None:
    """Return a URL with which a node can read the file by itself; None if it has to read it through the API."""
    if url.startswith(_OBJECTS):
        return object_storage.signed(url, path)
    return web_storage.address(url, path) if url.startswith(_WEB) else None


def measured(url: str, path: str) -> WorkspaceFile:
    """Return size and SHA-256 of a file that exists, by reading it. Raises NotFound, InvalidInput, ServiceUnavailable."""
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise InvalidInput("a path in a workspace has no empty parts and no ..", field="path")
    digest, size = hashlib.sha256(), 0
    for piece in read(url, path, 0, None):
        digest.update(piece)
        size += len(piece)
    return WorkspaceFile(path, size, digest.hexdigest())


def remove(url: str, path: str) -> None:
    """Remove a file that Ganger wrote; does nothing if it is gone already."""
    if not _OURS.match(path):
        return
    if url.startswith(_OBJECTS):
        object_storage.remove(url, path)
        return
    with contextlib.suppress(OSError):
        _inside(url, path).unlink(missing_ok=True)


def _inside(url: str, path: str) -> Path:
    parts = path.split("/")
    if not path or any(part in {"", ".", ".."} for part in parts):
        raise NotFound("there is no such file")
    return folder(url).joinpath(*parts)


@contextlib.contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _copy(pieces: Iterable[bytes], file: BinaryIO) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _pieces(file: BinaryIO, start: int, length: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = file.seek(0, os.SEEK_END) - start if length is None else length
        file.seek(start)
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
