"""The HTTP server: gunicorn with threads, started from code.

Each worker process makes its own runtime after the fork: connections and threads are never shared between processes.
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

from api.http.serving.gunicorn_worker import RequestWorker, most_connections
from api.up.embedded import state
from scheduler.errors import SetupError
from scheduler.runtime import Runtime
from scheduler.settings import Settings

GC_THRESHOLD = 50_000
"""New objects before a collection: more than a large request makes for each of its jobs at a time."""

_PR_SET_PDEATHSIG = 1
_MEMORY = "/dev/shm"  # noqa: S108 - only files without a name are put there


def serve(where: tuple[str, int], settings: Settings, make: Callable[[], Runtime]) -> int:
    """Serve until asked to end; returns the exit status. Raises SetupError when the address cannot be had."""
    host, port = where
    options = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
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
        "post_fork": _die_together,
    }
    _share_figures((settings.state_dir or state.default_root()) / "metrics" / str(port))
    try:
        _Server(options, make).run()
    except SystemExit as ended:
        if ended.code not in {0, None}:
            raise SetupError(f"cannot serve at {options['bind']}: {_why_not(where)}") from None
    return 0


def _why_not(where: tuple[str, int]) -> str:
    """Return why the server ended by itself: the address cannot be had, or something that it has logged before."""
    try:
        with socket.create_server(where, family=socket.AF_INET6 if ":" in where[0] else socket.AF_INET):
            return "the lines above say why"
    except OSError as error:
        return f"{os.strerror(error.errno or 0)}; choose another address with --host and --port"


def _die_together(_server: object, _worker: object) -> None:
    """End with the master however it ends: a worker with an open log stream would keep the port from the next one."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _heartbeat_folder() -> str | None:
    """Return memory where a heartbeat never waits for a disk; where there is none, the server's own choice."""
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None


def _share_figures(folder: Path) -> None:
    """Let all processes count their requests in one new folder; see `api.http.telemetry`, which none has imported yet."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn with our options instead of its command line."""

    def __init__(self, options: Mapping[str, object], make: Callable[[], Runtime]) -> None:
        self._options, self._make = options, make
        sys.argv = sys.argv[:1]  # gunicorn would read our own arguments
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Flask:
        from api.http.app import create_app  # noqa: PLC0415 - once per worker process, after the fork

        made: Flask = create_app(self._make())
        # What is there now stays: a collection in the middle of ten thousand jobs need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        return made
