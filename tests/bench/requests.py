"""Single requests of eight clients on two processes: submissions, details, first pages, beside bare handlers of the same server.

The bare handlers are Flask with one INSERT, and with one SELECT by key, on the same gunicorn, PostgreSQL and number of
processes, in turn with ours. The clients are one process that does nothing but send and read. `--profile` adds where the time of
one process goes, for each kind of request: a file for `python -m pstats`, and the functions with the most time of their own. A profiled
request takes some times as long; shares tell, sums do not.
"""

from __future__ import annotations

import json
import os
import pstats
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from api.up.embedded import servers, state
from scheduler import runtime
from scheduler.admin import seed, tokens
from scheduler.settings import Settings
from scheduler.store.schema import migrations
from tests.bench.figures import figure, quantile
from tests.support.servers import state_folder

CLIENTS, PROCESSES = 8, 2
ROUNDS, SECONDS = 5, 3.0
JOBS = 1_000
TOP = 25
READY_WITHIN_S = 180.0
_NODE = """
    INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
    SELECT 'bench', id, 'bench', '', '', 2000, 16000000, 100000000 FROM pools LIMIT 1
"""
_BODY = json.dumps({"command": ["/bin/true"]}).encode()


class Load:
    """Clients that send one request after the other, each on its connection, and measure."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port, self._requests = port, requests

    def run(self, seconds: float) -> list[float]:
        """Return the seconds of each request that was answered in this time."""
        took: list[float] = []
        with ExitStack() as stack, selectors.DefaultSelector() as ready:
            for number in range(CLIENTS):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(client, selectors.EVENT_READ, _Client(client, number, self._requests))
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                for key, _ in ready.select(1.0):
                    done = key.data.read()
                    if done is not None:
                        took.append(done)
        return took


class _Client:
    def __init__(self, connection: socket.socket, number: int, requests: Sequence[bytes]) -> None:
        self._connection, self._requests, self._next = connection, requests, number * 7919
        self._send()

    def _send(self) -> None:
        self._next += 1
        self._seen = b""
        self._began = time.perf_counter()
        self._connection.sendall(self._requests[self._next % len(self._requests)])

    def read(self) -> float | None:
        """Read on; return the seconds of the request when it is answered, and send the next one."""
        piece = self._connection.recv(1 << 20)
        self._seen += piece
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not piece or (end and not head.startswith(b"HTTP/1.1 2")):
            raise RuntimeError(f"refused: {self._seen[:300]!r}")
        if not end or len(body) < _length(head):
            return None
        took = time.perf_counter() - self._began
        self._send()
        return took


def _length(head: bytes) -> int:
    return next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")


def main(*, rounds: int = ROUNDS, profile: bool = False) -> None:
    """Measure in turn, and print medians of the rounds and their ratios."""
    with state_folder() as root:
        running = servers.prepare(state.prepare(root))
        running.start()
        try:
            migrations.upgrade(running.database_url)
            url = running.database_url
            engine = runtime.connect(url, Settings())
            seed.seed(engine, files_dir=None)
            engine.dispose()
            with psycopg.connect(url, autocommit=True) as db:
                db.execute(_NODE)
            token = tokens.ensure(url, kind="user", role="admin", project=None, name="bench", path=root / "token")
            with _server("tests.bench._bare_server", url, root) as bare, _ganger(url, running.broker_url, root) as ours:
                _measure(url, token, bare, ours, rounds)
            if profile:
                file = Path(tempfile.mkdtemp(prefix="ganger-profile-")) / "last"
                with _ganger(url, running.broker_url, root, profile=file) as ours:
                    _profile(_our_loads(_some_jobs(token, ours.port), token, ours), file)
        finally:
            running.stop()


def _measure(url: str, token: str, bare: _Server, ours: _Server, rounds: int) -> None:
    loads = _loads(url, token, bare, ours)
    for load, _ in loads.values():
        load.run(1.0)
    rates: dict[str, list[float]] = {name: [] for name in loads}
    last: dict[str, list[float]] = {name: [] for name in loads}
    spent: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, (load, server) in loads.items():
            before = server.cpu_s()
            took = load.run(SECONDS)
            spent[name].append((server.cpu_s() - before) / len(took) * 1000)
            rates[name].append(len(took) / SECONDS)
            last[name].append(quantile(took, 0.99) * 1000)
    for name in loads:
        figure("requests", f"{name}.rate", quantile(rates[name], 0.5), "requests/s", rounds=rounds, clients=CLIENTS)
        figure("requests", f"{name}.p99", quantile(last[name], 0.5), "ms")
        figure("requests", f"{name}.cpu", quantile(spent[name], 0.5), "CPU ms of the API a request")
    for name, base in (("submit", "bare-insert"), ("detail", "bare-select"), ("first-page", "bare-select")):
        ratios = [one / other for one, other in zip(rates[name], rates[base], strict=True)]
        figure("requests", f"{name}.ratio", quantile(ratios, 0.5), f"times {base}")


def _loads(url: str, token: str, bare: _Server, ours: _Server) -> dict[str, tuple[Load, _Server]]:
    ids = _some_jobs(token, ours.port)
    with psycopg.connect(url, autocommit=True) as db:
        keys = [row[0] for row in db.execute("SELECT id FROM bare LIMIT 1000")]
    loads = _our_loads(ids, token, ours)
    return {
        "bare-insert": (Load(bare.port, [_request("POST", "/", body=_BODY)]), bare),
        "submit": loads["submit"],  # after what it is held against
        "bare-select": (Load(bare.port, [_request("GET", f"/{key}") for key in keys]), bare),
        **loads,
    }


def _our_loads(ids: Sequence[int], token: str, ours: _Server) -> dict[str, tuple[Load, _Server]]:
    return {
        "submit": (Load(ours.port, [_request("POST", "/jobs/", token, _BODY)]), ours),
        "detail": (Load(ours.port, [_request("GET", f"/jobs/{one}/", token) for one in ids]), ours),
        "first-page": (Load(ours.port, [_request("GET", "/jobs/", token)]), ours),
        "small-page": (Load(ours.port, [_request("GET", "/jobs/?page_size=10", token)]), ours),
        "version": (Load(ours.port, [_request("GET", "/version/", token)]), ours),
    }


def _request(method: str, path: str, token: str | None = None, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _some_jobs(token: str, port: int) -> list[int]:
    one = json.dumps([json.loads(_BODY)] * JOBS).encode()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(_request("POST", "/jobs/", token, one))
        seen = b""
        while b"\r\n\r\n" not in seen or len(seen.partition(b"\r\n\r\n")[2]) < _length(seen.partition(b"\r\n\r\n")[0]):
            seen += client.recv(1 << 20)
    return list(json.loads(seen.partition(b"\r\n\r\n")[2])["job_ids"])


class _Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def cpu_s(self) -> float:
        """Return the seconds of processor of all its processes."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)


@contextmanager
def _ganger(url: str, broker: str, root: Path, *, profile: Path | None = None) -> Iterator[_Server]:
    # Limits stay on, as users have them, but out of the way of a benchmark.
    more = {
        "GANGER_BROKER_URL": broker, "GANGER_REQUESTS_PER_TOKEN": "100000000", "GANGER_STATE_DIR": str(root),
        **({"GANGER_BENCH_PROFILE": str(profile), "GANGER_API_WORKERS": "1"} if profile else {}),
    }  # fmt: skip
    with _server("tests.bench._api_server", url, root, **more) as made:
        yield made


@contextmanager
def _server(module: str, url: str, root: Path, **more: str) -> Iterator[_Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    own = {"GANGER_DATABASE_URL": url, "GANGER_PORT": str(port), "GANGER_API_WORKERS": str(PROCESSES), **more}
    process = subprocess.Popen([sys.executable, "-m", module], env={**os.environ, **own}, cwd=Path.cwd())
    try:
        _await(port, process)
        yield _Server(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(_request("GET", "/health/live"))
                if client.recv(4096).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            time.sleep(0.05)  # another process: there is no signal to wait for
    raise RuntimeError("the server did not come up")


def _profile(loads: dict[str, tuple[Load, _Server]], file: Path) -> None:
    for name, (load, server) in loads.items():
        load.run(1.0)  # what is made once is not of a request
        _take_profile(server.port)
        requests = len(load.run(SECONDS))
        _take_profile(server.port)
        kept = file.rename(file.with_name(f"{name}.prof"))
        stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(str(kept)).stats  # type: ignore[attr-defined]
        figure("requests", f"{name}.profile", requests, "requests", file=str(kept))
        for (source, line, function), (_, calls, own, whole, _) in sorted(stats.items(), key=lambda one: -one[1][2])[
            :TOP
        ]:
            figure(
                "requests", f"{name}.own", own / requests * 1000, "ms a request", function=function,
                where=f"{'/'.join(Path(source).parts[-3:])}:{line}", calls=round(calls / requests, 1),
                with_what_it_calls=round(whole / requests * 1000, 3),
            )  # fmt: skip


def _take_profile(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(_request("GET", "/bench/profile/"))
        if not client.recv(4096).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("the server keeps no profile")


if __name__ == "__main__":
    main()
