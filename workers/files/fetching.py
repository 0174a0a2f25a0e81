"""Fetching: one input file is put where the job finds it, copied on this machine, taken from the cache, or downloaded.

A download comes from where the file lies (`source`) or through the API. In each case the size and the SHA-256 of the
bytes that have arrived are compared with those that the scheduler named.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag

from scheduler.wire import InputFile
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable
from workers.events import ExecutionFailure
from workers.files import sources
from workers.files.input_cache import CacheWaitStopped, InputCache
from workers.files.work_dirs import WorkDirs
from workers.paths import Paths
from workers.removal import FileRemover
from workers.runners.folder_cache import FolderCache

_PIECE_BYTES = 1 << 20
"""Small enough to be hashed while it is still in the processor's cache."""
_MOST_BEHIND = 32
"""Most pieces that are copied and not hashed yet: few enough to be in the page cache still."""
_NO_CLONE = frozenset({errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM})


class StagingStopped(Exception):
    """Staging was given up on request."""


class StagingFailed(Exception):
    """An input cannot be staged; `failure` says why."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.failure = ExecutionFailure(error, message)


@dataclass(frozen=True, slots=True)
class StagingResources:
    """The node's own things that staging uses: its name, what it keeps (environments, images), the remover of files, the cache of inputs."""

    node: str
    kept: FolderCache
    remover: FileRemover
    cache: InputCache | None = None

    @property
    def spare_bytes(self) -> int:
        """By how much what the node keeps for later executions may still grow."""
        return self.kept.spare_bytes + (self.cache.spare_bytes if self.cache else 0)


@dataclass(frozen=True, slots=True)
class StagingTask:
    """Where and for whom to stage. Others set `stop` to have the work given up."""

    api: ApiClient
    paths: Paths
    work_dirs: WorkDirs
    resources: StagingResources
    uid: int | None
    gid: int | None
    stop: Flag
    gpus: tuple[str, ...] | None = None

    @property
    def user(self) -> tuple[int, int] | None:
        """The (uid, gid) that the job runs as; None when that is the node's own user."""
        return None if self.uid is None or self.gid is None else (self.uid, self.gid)


def place(file: InputFile, target: str, staging: StagingTask) -> None:
    """Put one input file in place, whole and verified. Raises StagingFailed, StagingStopped, OSError."""
    cache = staging.resources.cache
    with _opened_here(file) as here:
        wanted = file.sha256 if here is None else None
        if cache is not None and wanted is not None and _put_kept(file, wanted, target, staging, cache):
            return
        fd = _create(file, target)
        try:
            if here is None:
                _download(file, fd, staging)
            else:
                _check_content(file, fd, _copy(here, fd, file.size, staging))
            hand_to_user(fd, staging)
        finally:
            os.close(fd)


def _put_kept(file: InputFile, digest: str, target: str, staging: StagingTask, cache: InputCache) -> bool:
    """Put a file in place by way of the cache; return False if it is too large for that."""
    with _kept(file, digest, staging, cache) as kept:
        if kept is None:
            return False
        if staging.uid is not None:
            try:
                os.link(kept, target, follow_symlinks=False)
            except FileExistsError as error:
                raise _same_name(file) from error
            return True
        fd = _create(file, target)
        try:
            with _opened(kept) as source:
                _check_content(file, fd, _copy(source, fd, file.size, staging))
        finally:
            os.close(fd)
    return True


@contextlib.contextmanager
def _kept(file: InputFile, digest: str, staging: StagingTask, cache: InputCache) -> Iterator[str | None]:
    """Give the path of the file in the cache, fetched if need be; None if it is too large. Raises StagingStopped."""
    try:
        with cache.hold(digest, file.size, lambda fd: _download(file, fd, staging), staging.stop) as kept:
            yield kept
    except CacheWaitStopped:
        raise StagingStopped from None


def _create(file: InputFile, target: str) -> int:
    try:
        return os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise _same_name(file) from error


def _same_name(file: InputFile) -> StagingFailed:
    return StagingFailed("staging", f"Two input files have the same name {file.file_name!r}.")


def _check_content(file: InputFile, fd: int, digest: str) -> None:
    size = os.fstat(fd).st_size
    if size != file.size:
        raise StagingFailed("checksum", f"The input {file.file_name!r} has {size} bytes instead of {file.size}.")
    if file.sha256 is not None and digest != file.sha256:
        raise StagingFailed("checksum", f"The input {file.file_name!r} is not what was uploaded (SHA-256 {digest}).")


@contextlib.contextmanager
def _opened_here(file: InputFile) -> Iterator[int | None]:
    """Yield the file's descriptor if it lies on this machine as it should, else None: then it is downloaded.

    Jobs may write there. A link in its place or in that of a folder above it, or a pipe, is not what was registered, and the node
    may read more than they.
    """
    with contextlib.ExitStack() as opened:
        here = None
        if file.local_path is not None:
            with contextlib.suppress(OSError):
                fd = opened.enter_context(_opened(file.local_path))
                real = Path(f"/proc/self/fd/{fd}").readlink()
                if stat.S_ISREG(os.fstat(fd).st_mode) and str(real) == file.local_path:
                    here = fd
        yield here


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    """Yield a descriptor of a file, without following a link at its end or waiting for a pipe. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def _copy(source: int, target: int, size: int, staging: StagingTask) -> str:
    """Copy within this machine; return the SHA-256 of the bytes that have arrived, few more than `size` however long it is.

    The copy shares blocks where the file system can. Another thread hashes while this one copies.
    """
    digest, behind = hashlib.sha256(), deque[Future[None]]()
    with ThreadPoolExecutor(1, "hasher") as hasher:
        buffer, offset, clone = bytearray(_PIECE_BYTES), 0, True
        while True:
            _check(staging.stop)
            count, clone = _copy_piece(source, target, offset, clone)
            if count == 0 or offset > size:
                break
            behind.append(hasher.submit(_hash_piece, digest, target, offset, memoryview(buffer)[:count]))
            offset += count
            if len(behind) > _MOST_BEHIND:
                behind.popleft().result()
        for piece in behind:
            piece.result()
    return digest.hexdigest()


def _hash_piece(digest: hashlib._Hash, target: int, offset: int, buffer: memoryview) -> None:
    read = os.preadv(target, [buffer], offset)
    digest.update(buffer[:read])


def _copy_piece(source: int, target: int, offset: int, clone: bool) -> tuple[int, bool]:
    if clone:
        try:
            return os.copy_file_range(source, target, _PIECE_BYTES, offset, offset), True
        except OSError as error:
            if error.errno not in _NO_CLONE:
                raise
    piece = os.pread(source, _PIECE_BYTES, offset)
    return os.pwrite(target, piece, offset) if piece else 0, False


def _download(file: InputFile, target: int, staging: StagingTask) -> None:
    """Download from where the file lies or from the API; a broken transfer goes on where it broke off, however often."""
    digest, offset, backoff = hashlib.sha256(), 0, JitteredBackoff()
    while True:
        try:
            for piece in _pieces(file, offset, staging):
                _check(staging.stop)
                _write(target, piece)
                digest.update(piece)
                offset += len(piece)
                if offset > file.size:
                    raise StagingFailed(
                        "checksum", f"The input {file.file_name!r} has more than its {file.size} bytes."
                    )
                backoff.reset()
        except ServerUnreachable:
            if staging.stop.wait(backoff.wait_s()):
                raise StagingStopped from None
        except ServerRefused as error:
            raise StagingFailed("staging", f"The input {file.file_name!r} cannot be had: {error}") from error
        else:
            return _check_content(file, target, digest.hexdigest())


def _pieces(file: InputFile, offset: int, staging: StagingTask) -> Iterator[bytes]:
    if file.source is None:
        return staging.api.download(file.url, offset)
    return sources.read(file.source, offset, file.source_networks)


def _write(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


def hand_to_user(target: str | int, staging: StagingTask) -> None:
    """Make the job's user the owner of a file or folder."""
    if staging.uid is not None and staging.gid is not None:
        os.chown(target, staging.uid, staging.gid)


def _check(stop: Flag) -> None:
    if stop.is_set():
        raise StagingStopped
