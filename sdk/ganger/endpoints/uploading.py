"""Sending many files: what is there already is not sent again, the rest goes over several connections at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ganger.endpoints.files import FilesEndpoint
    from ganger.records import File

AT_ONCE = 8
"""Small files wait for the server's disk, not for its processors."""

DIGESTS_PER_CALL = 80
"""Their parameters are 72 characters each, and an address may have 8,190."""


class FileDigest(NamedTuple):
    """A file as others would see it: its name and what it holds."""

    name: str
    sha256: str


def send_missing(
    endpoint: FilesEndpoint,
    sources: Sequence[Path],
    *,
    project: str | None = None,
    changed: Callable[[int], None] | None = None,
) -> list[File]:
    """Return a file for each path: one of the project's of the same name and content, else a new one."""
    digests = [digest(source) for source in sources]
    there = _there(endpoint, {each.sha256 for each in digests}, project)
    missing = {each: source for each, source in zip(digests, sources, strict=True) if each not in there}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = {pool.submit(endpoint.upload, source, project=project): each for each, source in missing.items()}
        for number, future in enumerate(as_completed(sent), start=len(digests) - len(missing) + 1):
            try:
                there[sent[future]] = future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            if changed is not None:
                changed(number)
    return [there[each] for each in digests]


def digest(source: Path) -> FileDigest:
    """Return a file's name and the SHA-256 of what it holds."""
    with source.open("rb") as handle:
        return FileDigest(source.name, hashlib.file_digest(handle, "sha256").hexdigest())


def _there(endpoint: FilesEndpoint, digests: set[str], project: str | None) -> dict[FileDigest, File]:
    """Return what the project has of these digests, by name and content; outputs of jobs count as well."""
    found: dict[FileDigest, File] = {}
    for some in _in_parts(sorted(digests)):
        for file in endpoint.list(sha256=some, project=project or "default", page_size=1000, order="id"):
            found.setdefault(FileDigest(file.file_name, file.sha256 or ""), file)
    return found


def _in_parts(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(digests), DIGESTS_PER_CALL):
        yield digests[begin : begin + DIGESTS_PER_CALL]
