"""The placement inbox: placements that the broker brings, read from the consumer by a socket.

The consumer is a process of its own (`consumer`). It is started here, watched, and replaced when its canaries do not
come back. A placement that the broker does not bring is still found in the answer to a heartbeat. So a broker that
cannot be reached is logged once, and otherwise waited for.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from scheduler.documents import JsonValue
from scheduler.identifiers import Attempt, Epoch, ExecutionId
from workers import log
from workers.api_client import JitteredBackoff
from workers.events import PlacementsReceived
from workers.link import broker_login
from workers.paths import ExecutionKey
from workers.settings import NodeSettings

_MISSES = 2
"""Canaries in a row that may be missing before the consumer is replaced."""
_START_S = 10.0
"""More patience for a consumer that has just been started, on a busy machine."""
_PATIENCE_S = 5.0
"""Without a registration for so long, the broker is tried at the address as it is, so that its trouble is told."""
_ROOT = Path(__file__).resolve().parents[2]


class PlacementInbox:
    """The consumer of one node and the socket that it writes to."""

    def __init__(
        self, settings: NodeSettings, post: Callable[[PlacementsReceived], None], nudge: Callable[[], None]
    ) -> None:
        """`post` is called with placements, `nudge` when the scheduler rings: the answer to a heartbeat has news then.

        Both are called from threads of this object. Raises OSError if the socket cannot be made.
        """
        self._settings, self._post, self._nudge = settings, post, nudge
        self._path = settings.node_dir / "bell.sock"
        self._path.unlink(missing_ok=True)
        self._folder = os.open(settings.node_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By descriptor: a socket's own path may have only 107 characters.
        self._listener.bind(f"/proc/self/fd/{self._folder}/bell.sock")
        self._path.chmod(0o600)
        self._listener.listen(4)
        self._consumer: tuple[subprocess.Popen[bytes], str | None] | None = None  # and the login that it was given
        self._broker_url = settings.broker_url
        self._may_start = threading.Event()
        self._last_heard = time.monotonic()
        self._reachable = True
        self._stop = threading.Event()

    def run_socket(self) -> None:
        """Read from consumers, one after the other, until closed."""
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), name="placements", daemon=True).start()

    def run_consumer(self) -> None:
        """Keep a consumer running, once the node is registered, until closed. Returns at once on a node without a broker."""
        if self._settings.broker_url is None:
            return
        self._may_start.wait(_PATIENCE_S)
        backoff = JitteredBackoff(0.5, 30.0)
        while not self._stop.is_set():
            started = time.monotonic()
            process = self._start()
            why = self._watch(process)
            self._end(process)
            if self._stop.is_set():
                return
            if time.monotonic() - started > 60:  # noqa: PLR2004  a minute of good service wipes out the past
                backoff.reset()
            log.logger().warning(log.CONSUMER_RESTARTED, why=why)
            self._stop.wait(backoff.wait_s())

    def log_in(self, user: str | None, password: str) -> None:
        """Consume as this user of the broker from now on; as that of the node's settings where it is None."""
        given = self._settings.broker_url
        self._broker_url = given if given is None or user is None else broker_login.with_login(given, user, password)
        self._may_start.set()

    def close(self) -> None:
        """End the consumer and let the threads return."""
        self._stop.set()
        self._may_start.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        os.close(self._folder)
        self._path.unlink(missing_ok=True)
        if self._consumer is not None:
            self._end(self._consumer[0])

    def _start(self) -> subprocess.Popen[bytes]:
        # What it must know it is told on its standard input: no password stands in its environment.
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("GANGER_") or name == "GANGER_UP"
        }
        environment = {**kept, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workers.link.consumer"],
            stdin=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C at a terminal is for the agent, which ends this one in its own time
        )
        login = self._broker_url
        handed = {
            "node": self._settings.name,
            "broker_url": login,
            "broker_prefix": self._settings.broker_prefix,
            "canary_s": self._settings.canary_s,
            "socket": str(self._path),
        }
        assert process.stdin is not None  # noqa: S101  asked for above
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(orjson.dumps(handed) + b"\n")
            process.stdin.flush()
        self._consumer, self._last_heard = (process, login), time.monotonic() + _START_S
        log.logger().info(log.CONSUMER_STARTED, pid=process.pid)
        return process

    def _watch(self, process: subprocess.Popen[bytes]) -> str:
        """Wait until the consumer has to be replaced; return why."""
        patience = (_MISSES + 0.5) * self._settings.canary_s
        login = self._broker_url
        while not self._stop.is_set():
            if _has_ended(process, min(1.0, patience / 4)):
                return f"it ended with exit code {process.wait()}"
            if self._broker_url != login:
                return "the node has another login at the broker"
            if time.monotonic() - self._last_heard > patience:
                return "its canaries do not come back"
        return "the node stops"

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the consumer: it holds nothing that could be lost."""
        process.kill()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def _read(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):  # not a line of our consumer
                    self._handle(orjson.loads(line))

    def _handle(self, message: list[JsonValue]) -> None:
        match message:
            case ["ring"] | ["placements", int(), []]:  # the latter from a scheduler of an earlier release
                self._nudge()
            case ["placements", int(epoch), list(keys)]:
                self._post(PlacementsReceived(Epoch(epoch), [_key(key) for key in keys]))
            case ["canary", int()]:
                self._last_heard = time.monotonic()
                self._log_broker(None)
            case ["unreachable", str(why)]:
                self._last_heard = time.monotonic()  # the consumer itself is well
                self._log_broker(why)

    def _log_broker(self, trouble: str | None) -> None:
        if self._reachable == (trouble is None):
            return
        used = self._settings.broker_url if self._consumer is None else self._consumer[1]
        has_login = self._may_start.is_set() and used == self._broker_url
        if trouble is not None and not has_login and "uthentication" in trouble:
            return  # it answers, and the login comes with the registration, or has just come
        self._reachable = trouble is None
        if trouble is None:
            log.logger().info(log.BROKER_BACK)
        else:
            log.logger().warning(log.BROKER_UNREACHABLE, why=trouble)


def _key(pair: JsonValue) -> ExecutionKey:
    match pair:
        case [int(execution_id), int(attempt), *_]:
            return ExecutionId(execution_id), Attempt(attempt)
    raise ValueError("this names no execution")


def _has_ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Return whether our child has ended, as soon as it has, or once the time is over. `Popen.wait` with a limit looks twenty times a second."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:  # `close` has ended it meanwhile
        return True
    try:
        ends = select.poll()
        ends.register(handle, select.POLLIN)
        return bool(ends.poll(within_s * 1000))
    finally:
        os.close(handle)
