"""W5, the part of the nodes: 1,000 of them, and 10,000, register over HTTP and send heartbeats that have nothing new to say.

The nodes are one process of clients, each with its credential and a connection of its own; server, database and broker are real. First
they beat at the pace that the server asks of so many, then eight connections send as fast as they are answered, which shows what is
full first. Figures are processor time a heartbeat, of the API and of the database, beside a bare request of the same server.
"""

from __future__ import annotations

import json
import secrets
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from api.up.embedded import servers, state
from scheduler import runtime
from scheduler.admin import seed, tokens
from scheduler.admin.tokens import CREDENTIAL, JoinTokenLimits
from scheduler.rules.lifecycle import heartbeats
from scheduler.settings import Settings
from scheduler.store.schema import migrations
from tests.bench.figures import figure, quantile
from tests.bench.requests import Load, _ganger, _request, _Server
from tests.support.servers import state_folder

SIZES = (1_000, 10_000)
SECONDS, FULL_S = 20.0, 5.0


def main() -> None:
    """Measure each size on an installation of its own."""
    for nodes in SIZES:
        with state_folder() as root:
            running = servers.prepare(state.prepare(root))
            running.start()
            try:
                _measure(running.database_url, running.broker_url, root, nodes)
            finally:
                running.stop()


def _measure(url: str, broker: str, root: Path, nodes: int) -> None:
    migrations.upgrade(url)
    engine = runtime.connect(url, Settings())
    seed.seed(engine, files_dir=None)
    engine.dispose()
    join = tokens.ensure(
        url, kind="node", role=None, project=None, name="fleet", path=root / "join", join=JoinTokenLimits(["fleet-*"])
    )
    database = _database(root)
    with _ganger(url, broker, root) as server:
        began = time.perf_counter()
        sent = [_register(server.port, join, number) for number in range(nodes)]
        figure("fleet", "register", nodes / (time.perf_counter() - began), "nodes/s, one after the other", nodes=nodes)
        settings = Settings()
        every_s = heartbeats.interval_s(nodes, beat_s=settings.beat_s, lease_s=settings.lease_s)
        spent = _spent(server, database)
        took = _beat(server.port, sent, every_s)
        api, base = (after - before for after, before in zip(_spent(server, database), spent, strict=True))
        facts = {"nodes": nodes, "every_s": every_s}
        figure("fleet", "paced.rate", len(took) / SECONDS, "heartbeats/s", asked=round(nodes / every_s), **facts)
        figure("fleet", "paced.p99", quantile(took, 0.99) * 1000, "ms", nodes=nodes)
        figure("fleet", "paced.api", api / len(took) * 1000, "CPU ms a heartbeat", nodes=nodes, aim=0.5)
        figure("fleet", "paced.database", base / len(took) * 1000, "CPU ms a heartbeat", nodes=nodes)
        figure("fleet", "paced.cores", (api + base) / SECONDS, "cores in all", nodes=nodes, aim=1)
        for name, requests in (("full", sent), ("bare", [_request("GET", "/version/")])):
            spent = _spent(server, database)
            took = Load(server.port, requests).run(FULL_S)
            api, base = (after - before for after, before in zip(_spent(server, database), spent, strict=True))
            figure(
                "fleet", f"{name}.rate", len(took) / FULL_S, "requests/s", nodes=nodes,
                api_ms=round(api / len(took) * 1000, 3), database_ms=round(base / len(took) * 1000, 3),
            )  # fmt: skip


def _register(port: int, join: str, number: int) -> bytes:
    """Register a node; return the heartbeat that it sends from then on."""
    credential = CREDENTIAL + secrets.token_urlsafe(32)
    name = f"fleet-{number}"
    body = {
        "name": name, "hostname": name, "boot_id": "boot", "disk_id": name, "credential": credential,
        "amounts": {"cpus": 2000, "mem": 4_000_000, "disk": 4_000_000},
    }  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(_request("POST", "/node/register/", join, json.dumps(body).encode()))
        answer = b""
        while not answer.endswith(b"}"):
            answer += client.recv(1 << 16)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    beat = {"node_id": told["node_id"], "epoch": told["epoch"], "holding": 0}
    return _request("POST", "/node/beat/", credential, json.dumps(beat).encode())


def _beat(port: int, sent: Sequence[bytes], every_s: float) -> list[float]:
    """Let each node beat at its pace on its own connection, evenly over the time; return the seconds of each heartbeat."""
    took: list[float] = []
    with ExitStack() as stack, selectors.DefaultSelector() as ready:
        clients = deque[tuple[socket.socket, bytes]]()
        for message in sent:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            ready.register(client, selectors.EVENT_READ)
            clients.append((client, message))
        began: dict[int, float] = {}
        step = every_s / len(sent)
        start = following = time.perf_counter()
        while following < start + SECONDS:
            now = time.perf_counter()
            while following <= now and clients[0][0].fileno() not in began:
                client, message = clients[0]
                clients.rotate(-1)
                began[client.fileno()] = now
                client.sendall(message)
                following += step
            _read(ready, began, took, max(0.001, following - now))
        _read(ready, began, took, 1.0)
    return took


def _read(ready: selectors.BaseSelector, began: dict[int, float], took: list[float], seconds: float) -> None:
    for key, _ in ready.select(seconds):
        client = key.fileobj
        answer = client.recv(1 << 16)  # type: ignore[union-attr]  # it is a socket
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"refused: {answer[:200]!r}")
        took.append(time.perf_counter() - began.pop(key.fd))


def _database(root: Path) -> psutil.Process:
    """Return the database server whose folder lies here."""
    own: Callable[[psutil.Process], bool] = lambda one: str(root) in " ".join(one.cmdline())  # noqa: E731
    return next(one for one in psutil.process_iter() if one.name().startswith("postgres") and own(one))


def _spent(server: _Server, database: psutil.Process) -> tuple[float, float]:
    """Return the processor seconds of the API and of the database, of sessions that are open."""
    family = [database, *database.children()]
    return server.cpu_s(), sum(sum(one.cpu_times()[:2]) for one in family if one.is_running())


if __name__ == "__main__":
    main()
