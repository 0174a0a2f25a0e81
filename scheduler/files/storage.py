"""Storage: writes files to workspaces (whole or not at all, hashed on the way) and reads them in pieces.

A workspace is a URL. `file:///folder` is a folder that this process can write, `s3://bucket/prefix` is in an object
store, `http(s)://host/folder` can only be read. Other schemes are refused when the workspace is created.

`roots` are the folders of this machine within which workspaces may lie; they concern `file:` alone.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from scheduler.errors import BodyTooLarge, InvalidInput
from scheduler.files import beneath, local_storage, object_storage, web_storage
from scheduler.files.local_storage import Roots

_OBJECTS, _WEB = "s3://", ("http://", "https://")
_STAGES = "staged/"
_OUR_FOLDERS = rf"(?:uploads/\d{{4}}/\d\d/\d\d|outputs/\d{{3}}/\d+|{_STAGES}[0-9a-f]{{32}})/"
_OURS = re.compile(rf"{_OUR_FOLDERS}[0-9a-f]{{32}}\Z")
_NEAR_OURS = re.compile(_OUR_FOLDERS)
"""Paths of files that Ganger wrote; all other files of a workspace were there before and are never removed."""


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """A file in a workspace: its path there, its size in bytes, and its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


def write(
    url: str, path: str, pieces: Iterable[bytes], roots: Roots = (), *, stage: UUID | None = None
) -> WorkspaceFile:
    """Write a new file durably and as a whole; while it is written it lies in the folder of its stage, if it has one.

    Raises ServiceUnavailable if that fails.
    """
    if url.startswith(_OBJECTS):
        return WorkspaceFile(path, *object_storage.write(url, path, pieces))
    if url.startswith(_WEB):
        raise InvalidInput("a workspace on the web can only be read", field="workspace_id")
    drafts = None if stage is None else _folder(stage)
    return WorkspaceFile(path, *local_storage.write(url, path, pieces, roots, drafts))


def write_part(url: str, path: str, pieces: Iterable[bytes], roots: Roots = ()) -> int:
    """Write a part of something, unhashed and not synced where that is possible; return its size in bytes. Raises ServiceUnavailable."""
    if url.startswith((_OBJECTS, *_WEB)):
        return write(url, path, pieces, roots).size
    return local_storage.write_part(url, path, pieces, roots)


def staged_path(stage: UUID) -> str:
    """Return a path for a new part of something that is staged there."""
    return f"{_folder(stage)}/{secrets.token_hex(16)}"


def clear(url: str, stage: UUID, roots: Roots = ()) -> None:
    """Remove all that lies in the folder of a stage; does nothing if it is gone already."""
    if url.startswith(_OBJECTS):
        object_storage.clear(url, _folder(stage))
    elif not url.startswith(_WEB):
        local_storage.clear(url, _folder(stage), roots)


def read(url: str, path: str, start: int, length: int | None, roots: Roots = ()) -> Iterator[bytes]:
    """Yield `length` bytes of a file from `start` on, or all that follow. Raises NotFound at once, if there is no file."""
    if url.startswith(_OBJECTS):
        return object_storage.read(url, path, start, length)
    if url.startswith(_WEB):
        return web_storage.read(url, path, start, length)
    return local_storage.read(url, path, start, length, roots)


def check(url: str, roots: Roots = ()) -> None:
    """Raise InvalidInput for a workspace that cannot be used."""
    if url.startswith(_OBJECTS):
        object_storage.check(url)
    elif url.startswith(_WEB):
        web_storage.check(url)
    else:
        local_storage.check(url, roots)


def overlap(one: str, other: str, roots: Roots = ()) -> bool:
    """Tell whether two workspaces that can be written share a folder: then each would have the other's files."""
    if one.startswith(_WEB) or other.startswith(_WEB) or one.startswith(_OBJECTS) != other.startswith(_OBJECTS):
        return False
    if one.startswith(_OBJECTS):
        here, there = (f"{url.rstrip('/')}/" for url in (one, other))
        return here.startswith(there) or there.startswith(here)
    return local_storage.overlap(one, other, roots)


def source(url: str, path: str) -> str | None:
    """Return a URL with which a node can read the file by itself; None if it has to read it through the API."""
    if url.startswith(_OBJECTS):
        return object_storage.signed(url, path)
    return web_storage.address(url, path) if url.startswith(_WEB) else None


def measured(url: str, path: str, roots: Roots = (), most: int | None = None) -> WorkspaceFile:
    """Return size and SHA-256 of a file that exists, by reading it.

    Raises NotFound, InvalidInput, ServiceUnavailable; BodyTooLarge for more than `most` bytes.
    """
    try:
        beneath.parts_of(path)
    except ValueError as error:
        raise InvalidInput(str(error), field="path") from None
    if url.startswith("file:") and most is not None and local_storage.size(url, path, roots) > most:
        raise BodyTooLarge(f"what lies there has more than {most} bytes")  # however few of them are on the disk
    digest, size = hashlib.sha256(), 0
    for piece in read(url, path, 0, None, roots):
        digest.update(piece)
        size += len(piece)
        if most is not None and size > most:
            raise BodyTooLarge(f"what lies there has more than {most} bytes")
    return WorkspaceFile(path, size, digest.hexdigest())


def remove(url: str, path: str, roots: Roots = ()) -> None:
    """Remove a file that Ganger wrote; does nothing if it is gone already."""
    if not _OURS.match(path):
        return
    if url.startswith(_OBJECTS):
        object_storage.remove(url, path)
    elif not url.startswith(_WEB):
        local_storage.remove(url, path, roots)


def _folder(stage: UUID) -> str:
    return f"{_STAGES}{stage.hex}"


def is_ours(path: str) -> bool:
    """Tell whether a path lies where Ganger keeps uploads and outputs of all projects; nobody registers those again."""
    return _NEAR_OURS.match(path) is not None
