"""The HTTP server: gunicorn with threads, started from code.

Each worker process makes its own runtime after the fork: connections and threads are never shared between processes. What needs
neither, the modules and the routes, is made before, so that the processes share its memory.
"""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from flask import Flask
from gunicorn.app.base import BaseApplication

from api.http.serving import shared_epoch, unprivileged
from api.http.serving.gunicorn_worker import RequestWorker, most_connections
from api.http.serving.paced_socket import Pace
from api.up.embedded import state
from api.up.embedded.account import UnixAccount
from scheduler.errors import SetupError
from scheduler.runtime import Runtime
from scheduler.settings import Settings

GC_THRESHOLD = 50_000
"""New objects before a collection: more than a large request makes for each of its jobs at a time."""

_PR_SET_PDEATHSIG = 1
_MEMORY = "/dev/shm"  # noqa: S108 - only files without a name are put there


def serve(where: tuple[str, int], settings: Settings, account: UnixAccount | None, make: Callable[[], Runtime]) -> int:
    """Serve until asked to end; returns the exit status. Raises SetupError when the address cannot be had.

    With an account root's rights are given up for it before anything is answered.
    """
    host, port = where
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    bound = None if account is None else _bound(where, bind)  # only root may have an address below 1024
    options = {
        "bind": bind if bound is None else f"fd://{bound.fileno()}",
        "workers": settings.api_workers,
        "worker_class": RequestWorker,
        "worker_connections": most_connections(),
        "threads": settings.api_threads,
        # Nodes and clients keep their connections; two seconds, the default, would make most requests a new one.
        "keepalive": 75,
        "graceful_timeout": 5,
        "timeout": 60,
        "worker_tmp_dir": _heartbeat_folder(),
        "control_socket_disable": True,
        "loglevel": "warning",
        "limit_request_line": 8190,
        "limit_request_fields": 100,
        # Proxies are believed as our own settings say; the server would take a path prefix from every local client.
        "forwarder_headers": "",
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "post_fork": _die_together,
    }
    os.environ.pop("SCRIPT_NAME", None)
    home = settings.state_dir or state.default_root()
    if account is not None:
        options.update(
            user=account.uid, group=account.gid
        )  # those of this process from then on; its default was read before
    _share_figures(unprivileged.home_of_figures(home, account) / str(port), account)
    if account is not None:
        unprivileged.hold(settings.workspace_roots)
        unprivileged.become(account)
    RequestWorker.node_threads, RequestWorker.blob_threads = settings.node_threads, settings.blob_threads
    shared_epoch.advance()  # the memory is made here, before the processes are
    Pace.grace_s = settings.client_grace_s
    try:
        _Server(options, make).run()
    except SystemExit as ended:
        if ended.code not in {0, None}:
            raise SetupError(f"cannot serve at {bind}: {_why_not(where)}") from None
    return 0


def _bound(where: tuple[str, int], bind: str) -> socket.socket:
    """Return a socket of this address for the server to listen on."""
    try:
        found = socket.create_server(where, family=_family(where[0]), backlog=2048)
    except OSError as error:
        raise SetupError(
            f"cannot serve at {bind}: {os.strerror(error.errno or 0)}; choose another address with --host and --port"
        ) from None
    found.settimeout(0)
    return found


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _why_not(where: tuple[str, int]) -> str:
    """Return why the server ended by itself: the address cannot be had, or something that it has logged before."""
    try:
        with socket.create_server(where, family=_family(where[0])):
            return "the lines above say why"
    except OSError as error:
        return f"{os.strerror(error.errno or 0)}; choose another address with --host and --port"


def _die_together(_server: object, _worker: object) -> None:
    """End with the master however it ends: a worker with an open log stream would keep the port from the next one."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _heartbeat_folder() -> str | None:
    """Return memory where a heartbeat never waits for a disk; where there is none, the server's own choice."""
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None


def _share_figures(folder: Path, account: UnixAccount | None) -> None:
    """Let all processes count their requests in one new folder; see `api.http.telemetry`, which none has imported yet."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if account is not None:
        folder.parent.chmod(0o711)
        unprivileged.give(folder, account)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _routes() -> Flask:
    """Return the application without its connections, made by the process that forks the others.

    What is collected counts its visits in every object, and a page that is written to is shared no longer: so what is there now
    is left alone from here on.
    """
    from api.application import bare_app  # noqa: PLC0415 - the folder of figures is named before `telemetry` is imported

    made = bare_app()
    gc.collect()
    gc.freeze()
    return made


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn with our options instead of its command line."""

    def __init__(self, options: Mapping[str, object], make: Callable[[], Runtime]) -> None:
        self._options, self._make = options, make
        sys.argv = sys.argv[:1]  # gunicorn would read our own arguments
        super().__init__()
        self._bare = _routes()

    def load_config(self) -> None:
        for key, value in self._options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Flask:
        from api.application import create_app  # noqa: PLC0415 - imported before the fork, by `_routes`

        made: Flask = create_app(self._make(), bare=self._bare)
        # What is there now stays: a collection in the middle of ten thousand jobs need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        return made
