"""Workspaces in folders of this machine: `file:///folder`.

Jobs may write into such a folder, so nothing in it is believed: every access goes beneath the folder, follows no link, and
opens regular files only (`scheduler.files.beneath`). A folder may be a workspace only if it lies within one of the roots
that the installation's settings name; from a root on, no link is followed on the way to the folder either.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from scheduler.errors import Forbidden, InvalidInput, NotFound, ServiceUnavailable
from scheduler.files import beneath
from scheduler.files.hashing import HashedFile

MAX_FOLDER, MAX_PART = 3_000, 255
"""Longest path of a workspace (characters) and longest name in it (bytes): the limits of Linux, less room for file names."""

PIECE = 1024 * 1024
"""Bytes read or written at once."""

Roots = Sequence[Path]
"""The folders within which workspaces may lie."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK = {errno.ELOOP, errno.ENOTDIR}


def folder(url: str) -> Path:
    """Return the folder of a workspace; raises InvalidInput for a URL that does not name a local folder."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    bad_name = (
        "\0" in path
        or len(path) > MAX_FOLDER
        or any(part == ".." or len(part.encode("utf-8", "replace")) > MAX_PART for part in path.split("/"))
    )
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.startswith("/") or bad_name:
        raise InvalidInput("a workspace's url is file:/// and an absolute folder", field="url")
    return Path(path)


def check(url: str, roots: Roots) -> None:
    """Raise InvalidInput for a folder that lies in none of the roots, is not there, is a link, or cannot be written.

    No folder is created: otherwise a user of the API could create folders anywhere.
    """
    place = folder(url)
    if not any(place.is_relative_to(root) for root in roots):
        named = ", ".join(str(root) for root in roots) or "none"
        raise InvalidInput(
            f"the folder of this url lies in no root of workspaces ({named}); an administrator of the machine adds one "
            "to GANGER_WORKSPACE_ROOTS",
            field="url",
        )
    try:
        with _opened(url, roots) as handle:
            usable = os.access(f"/proc/self/fd/{handle}", os.W_OK | os.X_OK)
    except OSError as error:
        if error.errno in _LINK:
            raise InvalidInput("a link leads to the folder of this url; name the folder itself", field="url") from None
        usable = False
    if not usable:
        raise InvalidInput("the folder of this url is not there, or cannot be written", field="url")


def write(url: str, path: str, pieces: Iterable[bytes], roots: Roots, drafts: str | None = None) -> tuple[int, str]:
    """Write a new file durably: to a temporary name, synced, then renamed; return its size in bytes and SHA-256.

    The temporary name is in the folder `drafts` of the workspace, or beside the file. Raises ServiceUnavailable if that fails.
    """
    with contextlib.closing(HashedFile()) as content:
        _write(url, path, _hashed(pieces, content), roots, drafts)
        return content.size, content.hexdigest()


def write_part(url: str, path: str, pieces: Iterable[bytes], roots: Roots) -> int:
    """Write a part of something as `write` does, but unhashed and not synced, as what it is a part of will be; return its size in bytes.

    A part that a power cut took is missing or short afterwards, which whoever puts parts together finds by its size.
    """
    return _write(url, path, pieces, roots, None, is_synced=False)


def _write(
    url: str, path: str, pieces: Iterable[bytes], roots: Roots, drafts: str | None, *, is_synced: bool = True
) -> int:
    try:
        with _opened(url, roots) as handle, _new_file(handle, path, drafts, is_synced=is_synced) as file:
            return _copy(pieces, file)
    except OSError as error:
        raise ServiceUnavailable(f"the file cannot be stored: {error.strerror}") from error


def size(url: str, path: str, roots: Roots) -> int:
    """Return the length of a file in bytes; raises as `read` does."""
    with _file(url, path, roots) as file:
        return os.fstat(file.fileno()).st_size


def read(url: str, path: str, start: int, length: int | None, roots: Roots) -> Iterator[bytes]:
    """Yield bytes of a file from `start` on, to its end without a length. Raises NotFound at once if there is no regular file."""
    return _pieces(_file(url, path, roots), start, length)


def _file(url: str, path: str, roots: Roots) -> BinaryIO:
    try:
        with _opened(url, roots) as handle:
            return os.fdopen(beneath.open_file(handle, path), "rb")
    except (FileNotFoundError, ValueError):
        raise NotFound("the content of this file is gone") from None
    except PermissionError:
        raise Forbidden("the API is not allowed to read this file") from None
    except OSError as error:
        if error.errno in _LINK or isinstance(error, beneath.NoRegularFileError):
            raise NotFound("what lies there is a link, or no regular file, and is not read") from None
        raise ServiceUnavailable(f"the file cannot be read: {error.strerror}") from error


def remove(url: str, path: str, roots: Roots) -> None:
    """Remove a file; does nothing if it is gone already or cannot be reached."""
    *above, name = beneath.parts_of(path)
    with contextlib.suppress(OSError), _opened(url, roots) as handle:
        if not above:
            os.unlink(name, dir_fd=handle)
            return
        parent = beneath.open_beneath(handle, "/".join(above), os.O_PATH | os.O_DIRECTORY)
        try:
            os.unlink(name, dir_fd=parent)
        finally:
            os.close(parent)


def clear(url: str, path: str, roots: Roots) -> None:
    """Remove a folder of files with all that is in it, as far as it can be reached; does nothing if it is gone already."""
    *above, name = beneath.parts_of(path)
    with contextlib.suppress(OSError), contextlib.ExitStack() as open_folders:
        handle = open_folders.enter_context(_opened(url, roots))
        parent = beneath.open_beneath(handle, "/".join(above), _FOLDER) if above else os.dup(handle)
        open_folders.callback(os.close, parent)
        inner = os.open(name, _FOLDER, dir_fd=parent)
        open_folders.callback(os.close, inner)
        for entry in os.listdir(inner):  # noqa: PTH208 - of a handle, not of a path
            with contextlib.suppress(OSError):  # a folder that somebody has put there stays
                os.unlink(entry, dir_fd=inner)
        os.rmdir(name, dir_fd=parent)


def overlap(one: str, other: str, roots: Roots) -> bool:
    """Tell whether one of two workspaces lies within the other, or is the other."""
    here, there = (_real(folder(url), roots) for url in (one, other))
    return here.is_relative_to(there) or there.is_relative_to(here)


def _real(place: Path, roots: Roots) -> Path:
    base, rest = _split(place, roots)
    return base.resolve() / rest


def _split(place: Path, roots: Roots) -> tuple[Path, str]:
    """Return the deepest root that holds a folder, and the way from there; the folder itself where none does.

    Workspaces from before there were roots are served as they were named.
    """
    holding = [root for root in roots if place.is_relative_to(root)]
    base = max(holding, key=lambda root: len(root.parts), default=place)
    rest = place.relative_to(base).as_posix()
    return base, "" if rest == "." else rest


def _opened(url: str, roots: Roots) -> AbstractContextManager[int]:
    return beneath.opened_folder(*_split(folder(url), roots))


@contextlib.contextmanager
def _new_file(workspace: int, path: str, drafts: str | None, *, is_synced: bool = True) -> Iterator[FileIO]:
    *above, name = beneath.parts_of(path)
    draft = f".{name}.{secrets.token_hex(6)}.part"
    with contextlib.ExitStack() as open_folders:
        parent = _made(workspace, above, open_folders)
        beside = parent if drafts is None else _made(workspace, beneath.parts_of(drafts), open_folders)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(draft, flags, 0o640, dir_fd=beside), "wb", buffering=0) as file:
                yield file
                if is_synced:
                    os.fsync(file.fileno())
            os.rename(draft, name, src_dir_fd=beside, dst_dir_fd=parent)
            if is_synced:
                os.fsync(parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=beside)
            raise


def _made(workspace: int, parts: list[str], open_folders: contextlib.ExitStack) -> int:
    handle = beneath.make_folders(workspace, parts)
    open_folders.callback(os.close, handle)
    return handle


def _hashed(pieces: Iterable[bytes], content: HashedFile) -> Iterator[bytes]:
    for piece in pieces:
        content.add(piece)
        yield piece


def _copy(pieces: Iterable[bytes], file: FileIO) -> int:
    size = 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
        size += len(piece)
    return size


def _pieces(file: BinaryIO, start: int, length: int | None) -> Iterator[bytes]:
    with file:
        left = max(0, os.fstat(file.fileno()).st_size - start) if length is None else length
        file.seek(start)
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
