"""A small API for nodes, in memory: speaks the node protocol over HTTP and can be made to misbehave.

It grants every claim once, keeps what it is told, and lets a test wait for any of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scheduler import wire
from scheduler.identifiers import Epoch, NodeId
from tests.support.keys import FIRST, a_key
from workers.paths import ExecutionKey


class FakeNodeApi:
    """`faults[verb]` is a list of what goes wrong with the next calls: `drop` (done, no answer), `500`, `replaced`.

    `hooks[verb]` is called once, when the next call was done and before it is answered.
    """

    def __init__(self, *, beat_s: float = 0.2, lease_s: float = 90.0) -> None:
        self.beat_s, self.lease_s = beat_s, lease_s
        self.change = threading.Condition()
        self.down = False
        self.beats_tell = True
        """Whether the answer to a beat names the placements that wait."""
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.hooks: dict[str, Callable[[], None]] = {}
        self.calls: dict[str, int] = defaultdict(int)
        self.waiting: dict[ExecutionKey, wire.TaskSpec] = {}
        self.specs: dict[ExecutionKey, wire.TaskSpec] = {}
        self.tokens: dict[ExecutionKey, str] = {}
        self.claims: list[ExecutionKey] = []
        self.started: list[ExecutionKey] = []
        self.reports: dict[ExecutionKey, wire.ExecutionReport] = {}
        self.report_count: dict[ExecutionKey, int] = defaultdict(int)
        self.cancels: dict[ExecutionKey, wire.Cancel] = {}
        self.kill: list[ExecutionKey] = []
        self.output: dict[tuple[ExecutionKey, str, str], bytearray] = defaultdict(bytearray)
        self.arrived: list[tuple[str, bytes]] = []
        """Pieces of output as they came: stream and content."""
        self.files: dict[int, bytes] = {}
        self.published: dict[tuple[ExecutionKey, str, str], int] = {}
        self.registers: list[wire.NodeRegistration] = []
        self.beats: list[wire.HeartbeatBody] = []
        self.exchanges: list[wire.NodeExchange] = []
        self.left = False
        self.epoch = 1
        self.status: dict[str, int] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def place(self, *specs: wire.TaskSpec) -> None:
        """Let these wait for the node: its next beat tells it."""
        with self.change:
            for spec in specs:
                self.waiting[spec.execution_id, spec.attempt] = spec

    def cancel(self, key: ExecutionKey, grace_s: float | None = None) -> None:
        with self.change:
            self.cancels[key] = wire.Cancel(execution_id=key[0], attempt=key[1], grace_s=grace_s)

    def wait(self, condition: Callable[[], Any], timeout: float = 20.0) -> None:
        with self.change:
            assert self.change.wait_for(condition, timeout), "this did not happen in time"

    def report(self, key: ExecutionKey = FIRST, timeout: float = 20.0) -> wire.ExecutionReport:
        self.wait(lambda: key in self.reports, timeout)
        return self.reports[key]

    def text(self, key: ExecutionKey = FIRST, phase: str = "job", stream: str = "stdout") -> bytes:
        return bytes(self.output[key, phase, stream])

    # --- the calls ----------------------------------------------------------------------------------------

    def register(self, body: bytes) -> Any:
        message = wire.NodeRegistration.model_validate_json(body)
        self.registers.append(message)
        held = [(one.execution_id, one.attempt) for one in message.held]
        return wire.Registered(
            node_id=NodeId(1),
            epoch=Epoch(self.epoch),
            beat_s=self.beat_s,
            lease_s=self.lease_s,
            keep=[_ref(key) for key in held if key not in self.kill],
            kill=[_ref(key) for key in held if key in self.kill],
        )

    def beat(self, body: bytes) -> Any:
        message = wire.HeartbeatBody.model_validate_json(body)
        self.beats.append(message)
        cancels = [cancel for key, cancel in self.cancels.items() if key not in self.reports]
        return wire.HeartbeatAnswer(
            epoch=Epoch(self.epoch),
            drain=False,
            cancels=cancels,
            waiting=[_ref(key) for key in self.waiting if self.beats_tell],
        )

    def exchange(self, body: bytes) -> Any:
        message = wire.NodeExchange.model_validate_json(body)
        self.exchanges.append(message)
        self.started += [(one.execution_id, one.attempt) for one in message.starts]
        granted, refused = self._claim(message.claims)
        accepted, fenced = self._report(message.reports)
        return wire.ExchangeAnswer(granted=granted, refused=refused, accepted=accepted, fenced=fenced)

    def _claim(self, claims: list[wire.ExecutionClaim]) -> tuple[list[wire.TaskSpec], list[wire.RefusedClaim]]:
        granted, refused = [], []
        for one in claims:
            key = one.execution_id, one.attempt
            self.claims.append(key)
            spec = self.waiting.pop(key, None)
            if spec is not None:
                self.specs[key] = spec.model_copy(update={"token": one.token})
                self.tokens[key] = one.token
            if self.tokens.get(key) == one.token and key not in self.reports:
                granted.append(self.specs[key])
            else:
                refused.append(wire.RefusedClaim(execution_id=key[0], attempt=key[1], why="not waiting"))
        return granted, refused

    def _report(self, reports: list[wire.ExecutionReport]) -> tuple[list[wire.ExecutionRef], list[wire.ExecutionRef]]:
        accepted, fenced = [], []
        for one in reports:
            key = one.execution_id, one.attempt
            self.report_count[key] += 1
            if self.tokens.get(key) == one.token:
                self.reports.setdefault(key, one)
                accepted.append(_ref(key))
            else:
                fenced.append(_ref(key))
        return accepted, fenced

    def output_(self, body: bytes) -> Any:
        for chunk in wire.OutputChunks.model_validate_json(body).chunks:
            kept = self.output[(chunk.execution_id, chunk.attempt), chunk.phase, chunk.stream]
            data = base64.b64decode(chunk.data)
            assert chunk.offset <= len(kept), f"a gap before {chunk.offset}"
            kept[chunk.offset : chunk.offset + len(data)] = data
            self.arrived.append((chunk.stream, data))
        return {}

    def upload(self, query: dict[str, str], body: bytes) -> Any:
        if hashlib.sha256(body).hexdigest() != query["sha256"]:
            raise ValueError("not what was announced")
        name = a_key(int(query["execution_id"]), int(query["attempt"])), query["output"], query["file_name"]
        number = self.published.setdefault(name, 1000 + len(self.published))
        self.files[number] = body
        return {"file_id": number}

    def upload_many(self, query: dict[str, str], body: bytes) -> Any:
        message = wire.BulkOutputs.model_validate_json(body[: int(query["described"])])
        at, ids = int(query["described"]), []
        for one in message.files:
            said = {"execution_id": str(message.execution_id), "attempt": str(message.attempt), "output": one.output,
                    "file_name": one.file_name, "sha256": one.sha256}  # fmt: skip
            ids.append(self.upload(said, body[at : at + one.size])["file_id"])
            at += one.size
        return {"file_ids": ids}

    def leave(self, _: bytes) -> Any:
        self.left = True
        return {}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A node that was killed does not read its answer; that is no error here."""


def _ref(key: ExecutionKey) -> wire.ExecutionRef:
    return wire.ExecutionRef(execution_id=key[0], attempt=key[1])


def _words(verb: str, body: bytes) -> list[str]:
    """What a call is about, as tests name it: an exchange has claims, starts and reports."""
    if verb != "exchange":
        return [verb]
    message = wire.NodeExchange.model_validate_json(body)
    parts = {"claim": message.claims, "start": message.starts, "report": message.reports}
    return [word for word, items in parts.items() if items]


def _nothing() -> None:
    pass


def _handler(api: FakeNodeApi) -> type[BaseHTTPRequestHandler]:  # noqa: C901  one class, small methods
    verbs = {
        "register": api.register,
        "beat": api.beat,
        "exchange": api.exchange,
        "output": api.output_,
        "leave": api.leave,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self._body()
            parts = urlsplit(self.path)
            verb = parts.path.split("/")[2]
            with api.change:
                words = _words(verb, body)
                for word in words:
                    api.calls[word] += 1
                fault = next((api.faults[word].pop(0) for word in words if api.faults[word]), None)
                if api.down or fault == "500":
                    self._answer(503, {"kind": "unavailable", "description": "not now"})
                elif fault == "replaced":
                    api.epoch += 1
                    self._answer(409, {"kind": "node-replaced", "description": "you were replaced"})
                elif verb in api.status:
                    self._answer(api.status[verb], {"kind": "unauthorized", "description": "no such token"})
                else:
                    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    take = api.upload_many if parts.path.endswith("/bulk/") else api.upload
                    answer = take(query, body) if verb == "files" else verbs[verb](body)
                    for word in words:
                        api.hooks.pop(word, _nothing)()
                    api.change.notify_all()  # the answer may find nobody
                    if fault == "drop":
                        self.close_connection = True
                    else:
                        self._answer(201 if verb == "files" else 200, answer)
                api.change.notify_all()

        def do_GET(self) -> None:
            with api.change:
                api.calls["download"] += 1
                api.hooks.pop("download", _nothing)()
                api.change.notify_all()
            content = api.files.get(int(self.path.split("/")[3]))
            if content is None or api.down:
                self._answer(404 if content is None else 503, {"kind": "not-found", "description": "no such file"})
                return
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self._raw(206 if start else 200, content[start:], "application/octet-stream")

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, status: int, answer: Any) -> None:
            body = json.dumps(answer) if isinstance(answer, dict) else answer.model_dump_json()
            self._raw(status, body.encode(), "application/json")

        def _raw(self, status: int, body: bytes, kind: str) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            pass

    return Handler
