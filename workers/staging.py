"""The pre phase's own work: a fresh directory, and in it every input file, its size and SHA-256 verified.

Until all is in place the directory belongs to the node alone, so that no other process of the job's user can put a
link in the way of a copy.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from threading import Event as Flag

from scheduler.wire import Input, InputFile, Spec
from workers import folders
from workers.client import Api, Backoff, Refused, Unreachable
from workers.events import Failure
from workers.folders import Folders
from workers.places import Key, Places

_PIECE_BYTES = 8 << 20
"""Copied, then hashed while still in the page cache."""
_NAME_BYTES = 255
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_CLONE = frozenset({errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM})


class Stopped(Exception):
    """The work was given up on request."""


class _Failed(Exception):
    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(error, message)


@dataclass(frozen=True, slots=True)
class Staging:
    """Where and for whom to stage. `stop` is set by others to have the work given up."""

    api: Api
    places: Places
    folders: Folders
    uid: int | None
    gid: int | None
    stop: Flag


def needs_files(spec: Spec) -> bool:
    """Return whether staging this takes longer than making a few directories."""
    return any(one.type != "property" for one in spec.inputs)


def stage(spec: Spec, staging: Staging) -> Failure | None:
    """Make the attempt's directory with all inputs; return why that was not possible."""
    key: Key = spec.execution_id, spec.attempt
    try:
        staging.folders.make(staging.places.attempt(key))
        for one in spec.inputs:
            if one.type != "property":
                _stage_input(one, staging.places.inputs(key), staging)
        folders.hand_over(staging.places.attempt(key), staging.uid, staging.gid)
    except _Failed as failed:
        return failed.failure
    except Stopped:
        return Failure("staging", "Staging was stopped.")
    except OSError as error:
        return _of_system(error)
    return None


def _stage_input(one: Input, folder: str, staging: Staging) -> None:
    _check_name(one.name)
    os.mkdir(f"{folder}/{one.name}", 0o700)  # noqa: PTH102
    _give(f"{folder}/{one.name}", staging)
    for file in one.files:
        _check_name(file.file_name)
        _stage_file(file, f"{folder}/{one.name}/{file.file_name}", staging)


def _stage_file(file: InputFile, target: str, staging: Staging) -> None:
    try:
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise _Failed("staging", f"Two input files have the same name {file.file_name!r}.") from error
    try:
        digest = _copy(file, fd, staging) if _is_here(file) else _download(file, fd, staging)
        size = os.fstat(fd).st_size
        if size != file.size:
            raise _Failed("checksum", f"The input {file.file_name!r} has {size} bytes instead of {file.size}.")
        if file.sha256 is not None and digest != file.sha256:
            raise _Failed("checksum", f"The input {file.file_name!r} is not what was uploaded (SHA-256 {digest}).")
        _give(fd, staging)
    finally:
        os.close(fd)


def _is_here(file: InputFile) -> bool:
    return file.local_path is not None and os.access(file.local_path, os.R_OK)


def _copy(file: InputFile, target: int, staging: Staging) -> str:
    """Copy within this machine; blocks are shared where the file system can. Hashes what has arrived."""
    assert file.local_path is not None  # noqa: S101  asked before
    digest = hashlib.sha256()
    source = os.open(file.local_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        buffer, offset, clone = bytearray(_PIECE_BYTES), 0, True
        while True:
            _check(staging.stop)
            count, clone = _copy_piece(source, target, offset, clone)
            if count == 0:
                return digest.hexdigest()
            view = memoryview(buffer)[:count]
            read = os.preadv(target, [view], offset)
            digest.update(view[:read])
            offset += count
    finally:
        os.close(source)


def _copy_piece(source: int, target: int, offset: int, clone: bool) -> tuple[int, bool]:
    if clone:
        try:
            return os.copy_file_range(source, target, _PIECE_BYTES, offset, offset), True
        except OSError as error:
            if error.errno not in _NO_CLONE:
                raise
    piece = os.pread(source, _PIECE_BYTES, offset)
    return os.pwrite(target, piece, offset) if piece else 0, False


def _download(file: InputFile, target: int, staging: Staging) -> str:
    """Copy from the API, resumed where it broke off for as long as it takes."""
    digest, offset, backoff = hashlib.sha256(), 0, Backoff()
    while True:
        try:
            for piece in staging.api.download(file.url, offset):
                _check(staging.stop)
                _write(target, piece)
                digest.update(piece)
                offset += len(piece)
                if offset > file.size:
                    raise _Failed("checksum", f"The input {file.file_name!r} has more than its {file.size} bytes.")
                backoff.reset()
        except Unreachable:
            if staging.stop.wait(backoff.wait_s()):
                raise Stopped from None
        except Refused as error:
            raise _Failed("staging", f"The input {file.file_name!r} cannot be had: {error}") from error
        else:
            return digest.hexdigest()


def _write(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


def _give(target: str | int, staging: Staging) -> None:
    if staging.uid is not None and staging.gid is not None:
        os.chown(target, staging.uid, staging.gid)


def _check(stop: Flag) -> None:
    if stop.is_set():
        raise Stopped


def _check_name(name: str) -> None:
    if name in {"", ".", ".."} or "/" in name or "\0" in name or len(os.fsencode(name)) > _NAME_BYTES:
        raise _Failed("staging", f"The input cannot be named {name[:100]!r}.")


def _of_system(error: OSError) -> Failure:
    if error.errno in _NO_ROOM:
        return Failure("disk-full", "There was no room on the node's disk for the inputs.")
    return Failure("staging", f"The inputs could not be staged: {error.strerror}.")
