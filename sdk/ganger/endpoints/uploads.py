"""Uploads: files for jobs that await them, sent in blocks, several at once, and gone on with after any break.

The address that a job hands out needs no token, and may lead to another host than the API's: the token never goes there. A block's name
says where in the file it begins and what it holds. So what is there already is not sent again, whoever has sent it, and a file
that was changed meanwhile is not mixed with what it was.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from ganger.endpoints.files import media_type_of
from ganger.errors import ClientError, Refused
from ganger.records import AwaitedInput, Job
from ganger.transport import Call, Transport

BLOCK_BYTES = 8 * 1024 * 1024
"""The size of a block; a file that has no more is sent as a whole."""

AT_ONCE = 4
"""Blocks on their way at the same time: what is in memory is twice as many."""

_OCTETS = "application/octet-stream"
_REFUSED_LINK = 403


class UploadDamaged(ClientError):
    """What has arrived is not what was sent."""


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload is: bytes that are there, of so many; `resumed` of them were there before."""

    done: int
    total: int
    resumed: int


@dataclass(frozen=True, slots=True)
class UploadsEndpoint:
    """The inputs that jobs await."""

    _transport: Transport

    def send(
        self,
        job_id: int,
        name: str,
        source: Path,
        *,
        media_type: str | None = None,
        changed: Callable[[UploadProgress], None] | None = None,
    ) -> None:
        """Send a file for an input that a job awaits. Call it again after any failure: it goes on where it was.

        `changed` is called as blocks arrive. Raises NotFound, Conflict if the job awaits it no longer, InvalidRequest if it is too large,
        UploadDamaged.
        """
        link = _UploadLink(self._transport, job_id, name)
        with source.open("rb") as handle:
            size = handle.seek(0, io.SEEK_END)
            handle.seek(0)
            kind = media_type or media_type_of(source.name)
            upload = _FileUpload(link, handle, size, kind, changed)
            if size <= BLOCK_BYTES:
                upload.send_whole()
            else:
                upload.send_blocks()

    def done(self, job_id: int) -> Job:
        """Say that all that a job awaits is uploaded, and return the job: QUEUED, or FAILED with a message. Safe to repeat."""
        return Job.read(self._transport.json(Call("POST", f"/jobs/{job_id}/uploaded/", repeatable=True)))


class _UploadLink:
    """The link of one input; a new one is fetched when it has expired."""

    def __init__(self, transport: Transport, job_id: int, name: str) -> None:
        self._transport, self._job_id, self._name = transport, job_id, name
        self._lock = threading.Lock()
        self._url = self._fresh()
        self._plain = transport.without_token(self._url)

    def call(self, method: str, *, comp: str | None = None, block: str | None = None, **more: object) -> Call:
        """Return a request to the link; `more` are fields of `Call`."""
        own = f"&comp={comp}" if comp else ""
        own += f"&blockid={quote(block, safe='')}" if block else ""
        parts = urlsplit(self._url)
        return Call(method, f"{parts.path}?{parts.query}{own}", repeatable=True, **more)  # type: ignore[arg-type]  # fields of Call

    def send(self, method: str, *, comp: str | None = None, block: str | None = None, **more: object) -> None:
        """Send a request whose answer has no body; once more by a new link if this one has expired."""
        used = self._url
        try:
            self._plain.send(self.call(method, comp=comp, block=block, **more))
        except Refused as refused:
            if refused.status != _REFUSED_LINK:
                raise
            self._renew(used)
            self._plain.send(self.call(method, comp=comp, block=block, **more))

    def state(self) -> dict[str, object]:
        """Return what has come so far."""
        return dict(self._plain.json(self.call("GET", comp="blocklist")))

    def _renew(self, used: str) -> None:
        with self._lock:
            if self._url == used:
                self._url = self._fresh()

    def _fresh(self) -> str:
        job = Job.read(self._transport.json(Call("GET", f"/jobs/{self._job_id}/")))
        return _url_of(job, self._name)


def _url_of(job: Job, name: str) -> str:
    awaited = next((one for one in job.awaits if one.name == name), None)
    if awaited is None:
        known = ", ".join(one.name for one in job.awaits) or "nothing"
        raise ClientError(f"job {job.id} awaits no input {name!r} (it awaits: {known})")
    if awaited.upload_url is None:
        raise ClientError(
            f"job {job.id} is {job.status}: it takes no upload of {name!r} any more, or not from this token"
        )
    return awaited.upload_url


class _FileUpload:
    """One file on its way."""

    def __init__(
        self,
        link: _UploadLink,
        handle: IO[bytes],
        size: int,
        media_type: str,
        changed: Callable[[UploadProgress], None] | None,
    ) -> None:
        self._link, self._handle, self._size, self._media_type = link, handle, size, media_type
        self._changed = changed
        self._done = self._resumed = 0
        self._digest = hashlib.sha256()

    def send_whole(self) -> None:
        """Send it in one piece."""
        self._digest.update(self._handle.read())
        self._link.send("PUT", file=self._handle, headers={"Content-Type": self._media_type})
        self._tell(self._size, resumed=False)
        self._check()

    def send_blocks(self) -> None:
        """Send it in blocks, then the list of them."""
        there = {str(block["id"]): block["size"] for block in self._link.state()["blocks"]}  # type: ignore[attr-defined]  # JSON
        names: list[str] = []
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as pool:
            waiting: set[Future[int]] = set()
            try:
                for name, body in self._blocks():
                    names.append(name)
                    if there.get(name) == len(body):
                        self._tell(len(body), resumed=True)
                        continue
                    waiting.add(pool.submit(self._send_block, name, body))
                    if len(waiting) > AT_ONCE:
                        waiting = self._arrived(waiting)
                while waiting:
                    waiting = self._arrived(waiting)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        listed = "".join(f"<Latest>{name}</Latest>" for name in names)
        document = io.BytesIO(f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode())
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Ms-Blob-Content-Type": self._media_type}
        self._link.send("PUT", comp="blocklist", file=document, headers=headers)
        self._check()

    def _blocks(self) -> Iterator[tuple[str, bytes]]:
        offset = 0
        while body := self._handle.read(BLOCK_BYTES):
            self._digest.update(body)
            yield _block_name(offset, body), body
            offset += len(body)

    def _send_block(self, name: str, body: bytes) -> int:
        self._link.send("PUT", comp="block", block=name, file=io.BytesIO(body), headers={"Content-Type": _OCTETS})
        return len(body)

    def _arrived(self, waiting: set[Future[int]]) -> set[Future[int]]:
        """Wait until at least one block has arrived, and return the others."""
        over, others = wait(waiting, return_when=FIRST_COMPLETED)
        for future in over:
            self._tell(future.result(), resumed=False)
        return others

    def _tell(self, size: int, *, resumed: bool) -> None:
        self._done += size
        self._resumed += size if resumed else 0
        if self._changed is not None:
            self._changed(UploadProgress(self._done, self._size, self._resumed))

    def _check(self) -> None:
        state = self._link.state()
        if state["sha256"] != self._digest.hexdigest():
            raise UploadDamaged("what has arrived has another SHA-256 than what was sent; send it again")


def _block_name(offset: int, body: bytes) -> str:
    content = hashlib.sha256(body).hexdigest()[:32]
    return base64.b64encode(f"{offset:020}-{content}".encode()).decode()


def missing(job: Job) -> list[AwaitedInput]:
    """Return what a job awaits that has not come yet, and that it cannot do without."""
    return [one for one in job.awaits if one.received is None and not one.optional]
