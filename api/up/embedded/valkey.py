"""An embedded Valkey, which speaks Redis: the broker. Its content may be lost at any moment without a wrong result."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis

from api.up.embedded import account as accounts
from api.up.embedded import child_process, distribution, providers, state
from api.up.embedded.child_process import ChildProcess, ChildSpec, Pause
from api.up.embedded.state import StateFolder
from scheduler.errors import SetupError
from scheduler.servers import broker_client

# An append-only file of a few hundred MB is read within this.
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 15.0

SETTINGS: Mapping[str, str] = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    # The append-only file is the persistence; snapshots would only cost forks.
    "save": '""',
    # Messages must never be dropped to make room.
    "maxmemory-policy": "noeviction",
    # About six connections a node.
    "maxclients": "10000",
    "tcp-keepalive": "60",
    # How often a second it looks for what expires; ten times were a tenth of what an idle installation takes of a processor.
    "hz": "1",
    "always-show-logo": "no",
    # The title would overwrite command line and environment, by which the process is recognised.
    "set-proc-title": "no",
    "loglevel": "notice",
}


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """One server on one data folder. `url` (as Celery writes it) is valid before the server runs."""

    process: ChildProcess
    socket: Path
    url: str
    source: str

    def start(self, pause: Pause = time.sleep) -> None:
        """Start it and return when it answers. Raises SetupError with the server's own reason."""
        self.launch(pause)
        self.wait(pause)

    def launch(self, pause: Pause = time.sleep) -> None:  # noqa: ARG002 - the same shape as PostgresServer's
        """Start it without waiting; the socket of a dead one is no hindrance."""
        self.socket.unlink(missing_ok=True)
        self.process.start()

    def wait(self, pause: Pause = time.sleep) -> None:
        """Return once the server answers. Raises SetupError."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.answers():
            if self.process.ended() is not None:
                raise SetupError(
                    f"Valkey did not start: {self.process.last_error_line()} (see {self.process.spec.log})"
                )
            if time.monotonic() > deadline:
                raise SetupError(f"Valkey is not ready after {READY_WITHIN_S:.0f} s (see {self.process.spec.log})")
            pause(child_process.POLL_S)

    def answers(self) -> bool:
        """Tell whether it answers now; it does not while it still reads its file."""
        client = broker_client.connect(self.url)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def stop(self, pause: Pause = time.sleep) -> None:
        """Shut it down; what it holds is on disk then."""
        self.process.stop(pause)


def prepare(folder: StateFolder, *, settings: Mapping[str, str] | None = None) -> ValkeyServer:
    """Find the program, write its settings, and return the server, not yet started. Raises SetupError."""
    provider = providers.valkey()
    program = distribution.runnable(provider, folder)
    data = folder.servers / "valkey"
    if not data.exists():
        data.mkdir(mode=0o700)
        accounts.give(data, folder.account)
    password = folder.secret("valkey-password")
    socket = folder.socket_folder() / "valkey.sock"
    conf = data / "valkey.conf"
    _write_settings(conf, {**SETTINGS, **(settings or {})}, {"unixsocket": socket, "dir": data}, password, folder)
    spec = ChildSpec(
        name="valkey",
        argv=[program, conf],
        log=folder.logs / "valkey.log",
        record=folder.pids / "valkey",
        environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", child_process.MARK: str(folder.root)},
        account=folder.account,
        folder=data,
        stop_signal=signal.SIGTERM,
        stop_within_s=STOP_WITHIN_S,
        umask=0o077,
    )
    return ValkeyServer(ChildProcess(spec), socket, _url(password, socket), provider.label)


def _write_settings(
    conf: Path, settings: Mapping[str, str], paths: Mapping[str, Path], password: str, folder: StateFolder
) -> None:
    """The password goes by a private file, for a command line can be read by everyone."""
    lines = [f"{name} {value}" for name, value in settings.items()]
    lines += [f'{name} "{_escaped(str(path))}"' for name, path in paths.items()]
    state.write_private(conf, "\n".join([*lines, f"requirepass {password}"]), folder.account)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _url(password: str, socket: Path) -> str:
    return f"redis+socket://:{quote(password, safe='')}@{quote(str(socket), safe='/')}?virtual_host=0"
