"""HTTP to the API: the calls of the node protocol, each one batch, each safe to repeat.

It is thread-safe. The log says once that the API cannot be reached, and once that it can again; not for each call.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import httpx2
import orjson
from pydantic import ValidationError

from scheduler import wire
from scheduler.errors import Forbidden, NodeNameTaken, NodeReplaced, Unauthorized
from scheduler.identifiers import Epoch, FileId, NodeId
from workers import log
from workers.link.calls import CallConnections, CallFailed
from workers.link.credential import NodeCredential
from workers.paths import ExecutionKey

A = TypeVar("A", bound=wire.Message)

_TIMEOUT = httpx2.Timeout(15.0, connect=5.0)
_TRANSFER_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
"""Per read or write, not for the whole file."""
_PIECE_BYTES = 1 << 20
_NOT_NOW = frozenset({408, 425, 429})
"""Status codes below 500 that are about the moment, not about the request."""


class ServerUnreachable(Exception):
    """There was no answer, or one that says: not now (`answered`). The call may be repeated."""

    def __init__(self, sentence: str, *, answered: bool) -> None:
        super().__init__(sentence)
        self.answered = answered


class ServerRefused(Exception):
    """The server has understood the call and refuses it. Repeating it will not help."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ApiClient:
    """The API as one node sees it. Every method may raise ServerUnreachable, ServerRefused, Unauthorized, Forbidden."""

    def __init__(self, url: str, credential: NodeCredential | str) -> None:
        """Show this credential with every call; a text is shown as it is."""
        if isinstance(credential, str):
            credential = NodeCredential(None, "", credential)
        self._credential = credential
        # Without TLS there is no use for the world's certificates, which take long to read.
        tls = None if httpx2.URL(url).scheme == "http" else httpx2.create_ssl_context(trust_env=False)
        self._calls = CallConnections(url, tls)
        self._http = httpx2.Client(
            base_url=url.rstrip("/"),
            verify=tls or False,
            headers=_bearer(credential.shown),
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=60.0),
            trust_env=False,
        )
        self._url = url
        self._lock = threading.Lock()
        self._troubles: set[str] = set()

    def register(self, message: wire.NodeRegistration) -> wire.Registered:
        """Register the node, by its credential or else by the join token, and show what it proposed from now on.

        Raises NodeNameTaken, and SetupError where the credential cannot be kept.
        """
        proposed = message.model_copy(update={"credential": self._credential.proposal()})
        tries = self._credential.tries()
        for number, shown in enumerate(tries, start=1):
            try:
                answer = self._call("register", proposed, wire.Registered, shown)
                break
            except (Unauthorized, Forbidden):
                if number == len(tries):
                    raise
        if answer.credential_taken:
            self._credential.take()
        else:
            self._credential.show_join_token()
        self._http.headers.update(_bearer(self._credential.shown))
        return answer

    def beat(self, message: wire.HeartbeatBody) -> wire.HeartbeatAnswer:
        """Send a heartbeat. Raises NodeReplaced."""
        return self._call("beat", message, wire.HeartbeatAnswer)

    def claim(self, message: wire.ClaimBatch) -> wire.ClaimAnswer:
        """Claim placements. Raises NodeReplaced."""
        return self._call("claim", message, wire.ClaimAnswer)

    def report(self, message: wire.ReportBatch) -> wire.ReportAnswer:
        """Report how executions ended."""
        return self._call("report", message, wire.ReportAnswer)

    def exchange(self, message: wire.NodeExchange) -> wire.ExchangeAnswer:
        """Say what has ended and started, and claim placements, in one call."""
        return self._call("exchange", message, wire.ExchangeAnswer)

    def output(self, message: wire.OutputChunks) -> None:
        """Hand over what programs wrote."""
        self._post("output", message.model_dump_json().encode())

    def leave(self, node_id: NodeId, epoch: Epoch) -> None:
        """Sign off."""
        self._post("leave", orjson.dumps({"node_id": node_id, "epoch": epoch}))

    def download(self, url: str, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a file from `offset` on. `url` is its path below the API."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        try:
            with self._http.stream("GET", url, headers=headers, timeout=_TRANSFER_TIMEOUT) as answer:
                self._check(answer, "download")
                skip = offset if answer.status_code == 200 else 0  # noqa: PLR2004  a server without ranges sends it all
                for piece in answer.iter_bytes():  # as it comes, so that a slow one can be given up
                    yield piece[skip:]
                    skip = max(0, skip - len(piece))
        except httpx2.HTTPError as error:
            raise self._gone(error) from error

    def upload(self, key: ExecutionKey, token: str, file: UploadFile) -> FileId:
        """Publish one output file under the attempt; return its file id. The same file again gives the same id."""
        query: dict[str, str | int] = {
            "execution_id": key[0],
            "attempt": key[1],
            "token": token,
            "output": file.output,
            "file_name": file.name,
            "media_type": file.media_type,
            "sha256": file.sha256,
        }
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.size)}
        try:
            answer = self._http.post(
                "/node/files/", params=query, content=file.pieces(), headers=headers, timeout=_TRANSFER_TIMEOUT
            )
        except httpx2.HTTPError as error:
            raise self._gone(error) from error
        self._check(answer, "upload")
        return FileId(int(orjson.loads(answer.content)["file_id"]))

    def upload_many(self, message: wire.BulkOutputs, content: bytes) -> list[FileId]:
        """Publish many small output files under the attempt; return their ids, in order. May be repeated."""
        said = message.model_dump_json().encode()
        headers = {"Content-Type": "application/octet-stream"}
        try:
            answer = self._http.post(
                "/node/files/bulk/",
                params={"described": len(said)},
                content=said + content,
                headers=headers,
                timeout=_TRANSFER_TIMEOUT,
            )
        except httpx2.HTTPError as error:
            raise self._gone(error) from error
        self._check(answer, "upload")
        return [FileId(one) for one in orjson.loads(answer.content)["file_ids"]]

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()
        self._http.close()

    def _call(self, verb: str, message: wire.Message, kind: type[A], shown: str | None = None) -> A:
        content = self._post(verb, message.model_dump_json().encode(), shown)
        try:
            return kind.model_validate_json(content)
        except ValidationError as error:
            raise ServerRefused(200, f"The API's answer to {verb} is not understood: {error}") from error

    def _post(self, verb: str, body: bytes, shown: str | None = None) -> bytes:
        """Return the answer to a call; `shown` is shown instead of what is usually shown."""
        try:
            status, content = self._calls.post(
                f"/node/{verb}/", body, _bearer(self._credential.shown if shown is None else shown)
            )
        except CallFailed as error:
            raise self._gone(error) from error
        self._check_status(status, content, verb)
        return content

    def _check(self, answer: httpx2.Response, verb: str) -> None:
        content = answer.read() if answer.status_code >= 300 else b""  # noqa: PLR2004
        self._check_status(answer.status_code, content, verb)

    def _check_status(self, status: int, content: bytes, verb: str) -> None:
        kind, sentence = _problem(status, content) if status >= 300 else ("", "")  # noqa: PLR2004
        if status >= 500 or status in _NOT_NOW:  # noqa: PLR2004
            self._log_change(verb, f"{status}: {sentence}")
            raise ServerUnreachable(sentence, answered=True)
        self._log_change(verb, None)
        if status >= 300:  # noqa: PLR2004
            raise _REFUSALS.get(kind, _BY_STATUS.get(status, _refused(status)))(sentence)

    def _gone(self, error: httpx2.HTTPError | CallFailed) -> ServerUnreachable:
        sentence = str(error) or type(error).__name__
        self._log_change("", sentence)
        return ServerUnreachable(sentence, answered=False)

    def _log_change(self, verb: str, trouble: str | None) -> None:
        """Log a change for the worse or the better. The `verb` "" stands for the connection itself."""
        if trouble is None and not self._troubles:
            return
        with self._lock:
            over = {verb, ""} & self._troubles if trouble is None else set()
            news = trouble is not None and verb not in self._troubles
            self._troubles = (self._troubles | {verb}) if trouble is not None else (self._troubles - over)
        if news:
            log.logger().warning(log.API_UNREACHABLE, url=self._url, call=verb or None, why=trouble)
        for call in over:
            log.logger().info(log.API_BACK, url=self._url, call=call or None)


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A verified output to be uploaded: an open file, and what the API wants to know of it. `size` in bytes."""

    fd: int
    output: str
    name: str
    media_type: str
    sha256: str
    size: int
    check: Callable[[], None] = lambda: None
    """Called between pieces; an error that it raises ends the upload."""

    def pieces(self) -> Iterator[bytes]:
        """Yield exactly `size` bytes from the beginning, or fewer if the file was cut meanwhile."""
        offset = 0
        while offset < self.size and (piece := os.pread(self.fd, min(self.size - offset, _PIECE_BYTES), offset)):
            self.check()
            offset += len(piece)
            yield piece


class JitteredBackoff:
    """Waits after failures in a row: they double from `least_s` to `most_s`, and each is cut by up to half, at random."""

    def __init__(self, least_s: float = 1.0, most_s: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._least, self._most, self._chance = least_s, most_s, chance
        self._next = least_s

    def wait_s(self) -> float:
        """Return the next wait."""
        wait, self._next = self._next, min(self._next * 2, self._most)
        return wait * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Start again with `least_s`: it went well."""
        self._next = self._least


def _bearer(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}


def _problem(status: int, content: bytes) -> tuple[str, str]:
    try:
        body = orjson.loads(content)
        return str(body.get("kind", "")), str(body.get("description") or body.get("name") or status)
    except (ValueError, AttributeError):
        return "", content.decode(errors="replace")[:200]


def _refused(status: int) -> Callable[[str], Exception]:
    return lambda sentence: ServerRefused(status, sentence)


_REFUSALS: dict[str, Callable[[str], Exception]] = {NodeReplaced.kind: NodeReplaced, NodeNameTaken.kind: NodeNameTaken}
_BY_STATUS: dict[int, Callable[[str], Exception]] = {401: Unauthorized, 403: Forbidden}
