"""Workspaces in an object store: `s3://bucket/prefix`, reached by boto3 with the credentials of this process.

AWS_ENDPOINT_URL_S3 names the endpoint of a store that is not Amazon's. Nodes never get credentials: they read objects by
URLs that are signed for one object and a few hours.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from scheduler.errors import InvalidInput, NotFound, ServiceUnavailable

SIGNED_S = 12 * 3600
_PIECE = 1024 * 1024
_GONE = {"404", "NoSuchKey", "NotFound"}


def check(url: str) -> None:
    """Raise InvalidInput for a bucket that cannot be listed."""
    bucket, _ = _place(url, "")
    try:
        client = _client()
    except ServiceUnavailable as error:
        raise InvalidInput(str(error), field="url") from None
    try:
        client.head_bucket(Bucket=bucket)
    except _errors() as error:
        raise InvalidInput(f"the bucket {bucket!r} cannot be used: {_code(error)}", field="url") from error


def write(url: str, path: str, pieces: Iterable[bytes]) -> tuple[int, str]:
    """Write an object in parts; return its size in bytes and SHA-256. Raises ServiceUnavailable."""
    bucket, key = _place(url, path)
    reading, client = _Reading(iter(pieces)), _client()
    try:
        # In this thread: the pieces come from a request, which other threads cannot read.
        client.upload_fileobj(reading, bucket, key, Config=_transfer())
    except _errors() as error:
        raise ServiceUnavailable(f"the file cannot be stored: {_code(error)}") from error
    return reading.size, reading.digest.hexdigest()


def read(url: str, path: str, start: int, length: int | None) -> Iterator[bytes]:
    """Yield bytes of an object from `start` on, to its end without a length. Raises NotFound, ServiceUnavailable at once."""
    bucket, key = _place(url, path)
    if length == 0:
        return iter(())
    client = _client()
    part = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
    try:
        ranged = {} if (start, length) == (0, None) else {"Range": part}
        found = client.get_object(Bucket=bucket, Key=key, **ranged)
    except _errors() as error:
        if _code(error) in _GONE:
            raise NotFound("the content of this file is gone") from None
        raise ServiceUnavailable(f"the file cannot be read: {_code(error)}") from error
    return _whole(found["Body"].iter_chunks(_PIECE))


def _whole(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of an answer. Raises ServiceUnavailable if the store breaks off."""
    try:
        yield from pieces
    except _errors() as error:
        raise ServiceUnavailable(f"the file cannot be read: {_code(error)}") from error


def remove(url: str, path: str) -> None:
    """Remove an object; does nothing if it is gone already. Raises ServiceUnavailable."""
    bucket, key = _place(url, path)
    client = _client()
    try:
        client.delete_object(Bucket=bucket, Key=key)
    except _errors() as error:
        raise ServiceUnavailable(f"the file cannot be removed: {_code(error)}") from error


def clear(url: str, folder: str) -> None:
    """Remove every object beneath a folder. Raises ServiceUnavailable."""
    bucket, prefix = _place(url, f"{folder}/")
    client = _client()
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys = [{"Key": found["Key"]} for found in page.get("Contents", ())]
            if keys:
                client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    except _errors() as error:
        raise ServiceUnavailable(f"what was staged cannot be removed: {_code(error)}") from error


def signed(url: str, path: str) -> str:
    """Return a URL with which anybody can read this one object for `SIGNED_S` seconds. Raises ServiceUnavailable."""
    bucket, key = _place(url, path)
    client = _client()
    try:
        address: str = client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=SIGNED_S
        )
    except _errors() as error:
        raise ServiceUnavailable(f"the file cannot be offered: {_code(error)}") from error
    return address


class _Reading:
    """The pieces as a file for boto3 to read; counts and hashes the bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""
        self.size, self.digest = 0, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; with a negative size all that are left."""
        gathered = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            gathered.append(piece)
            have += len(piece)
        whole = b"".join(gathered)
        given, self._rest = (whole, b"") if size < 0 else (whole[:size], whole[size:])
        self.size += len(given)
        self.digest.update(given)
        return given


def _place(url: str, path: str) -> tuple[str, str]:
    parts = urlsplit(url)
    prefix = unquote(parts.path).strip("/")
    return parts.netloc, f"{prefix}/{path}" if prefix else path


@functools.cache
def _client() -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    return _boto3().client("s3")


def _boto3() -> ModuleType:
    try:
        import boto3  # noqa: PLC0415 - an extra, wanted only where a workspace is in an object store
    except ImportError as error:
        raise ServiceUnavailable("an s3:// workspace needs boto3 here: install ganger[s3]") from error
    return cast("ModuleType", boto3)


def _transfer() -> object:
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415

    return TransferConfig(use_threads=False)


def _errors() -> tuple[type[Exception], ...]:
    from boto3.exceptions import S3UploadFailedError  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    return BotoCoreError, ClientError, S3UploadFailedError


def _code(error: Exception) -> str:
    answer: dict[str, Any] = getattr(error, "response", {})
    return str(answer.get("Error", {}).get("Code") or error)
