"""The agent's side of the supervisor: starts it where none runs, orders, and hears what happens.

    with Supervision(directory) as supervision:
        supervision.start([{"tree": "17.1", "phase": "job", "argv": ["/bin/true"], "env": {}, "cwd": "/",
                            "stdout": ".../out", "stderr": ".../err"}])
        for event in supervision.events(): ...

Every call takes a batch, may be repeated, and may be made from any thread. A run is an object with `tree`
(`<execution id>.<attempt>`), `phase` (pre, job, post, cleanup), `argv`, `env` (complete), `cwd`, `stdout`, `stderr`
(absolute; the folder must not be writable by the job), and optionally `timeout_s`, `grace_s`, `lease_s`,
`limits` {cpus, mem, disk (thousandths), pids, nofile, fsize, output_bytes}, `folder` (measured: what `disk` is about),
`uid` with `gid`, `groups`.

Events are objects with `ev`:
`connected` (hello): a new connection; then come the last events of all phases not released, then `caught_up`.
`started` (tree, phase, pid, at). `stuck` (tree, phase, pids): killed for 5 s and still alive.
`ended` (tree, phase, pid, exit_code, signal, reason, oom, seconds, started, ended, usage, message, errno): main reaped,
tree empty; reason is exit, timeout, disk_full, killed:<why>, fenced, launch or supervisor_lost. An event may come twice.
"""

import contextlib
import itertools
import json
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from workers.supervisor import syscalls
from workers.supervisor.limits import VERSION

OLDEST: Final = 1
"""The agent also understands supervisors of earlier releases, down to this one: they stay until their jobs have ended."""
ANSWER_TIMEOUT_S: Final = 30.0
_READY_TIMEOUT_S: Final = 30.0
_RETRY_S: Final = 0.2  # between attempts to connect, while another agent's supervisor starts or ends
_CONNECT_TIMEOUT_S: Final = 60.0
_LAUNCHES: Final = 10  # failed ones in a row; one fails when another agent's supervisor is just starting
_LOG: Final = "supervisor.log"
_LAST_WORDS_BYTES: Final = 4096
_PYTHON_IGNORES: Final = (signal.SIGPIPE, signal.SIGXFSZ)
_started: set[int] = set()  # supervisors that are children of this process
_ROOT: Final = Path(__file__).resolve().parents[2]
BOOT: Final = "import sys; sys.path.append(sys.argv.pop(1)); from workers.supervisor import main; main.main()"

Event = dict[str, Any]


class SupervisorLostError(ConnectionError):
    """The connection to the supervisor is gone; `events` makes a new one, and the call may be repeated."""


class SupervisorVersionError(SupervisorLostError):
    """A supervisor runs here that this agent does not understand; it and its jobs were left as they are."""


class Supervision:
    """One agent's connection to the supervisor of its node, made again as often as it is lost."""

    def __init__(self, directory: Path, *, python: str = sys.executable, tree: str | None = None) -> None:
        """Connect, starting the supervisor where none answers. Raises `SupervisorLostError`, `SupervisorVersionError`.

        `tree` forces a kind of tree when the supervisor has to be started.
        """
        self._directory = directory
        self._python = python
        self._tree = tree
        self._events: _Events = queue.SimpleQueue()
        self._connection: _Connection | None = None
        self._closed = False
        self.hello: Event = {}
        self._connect()

    def start(self, runs: list[Event]) -> Event:
        """Start phases. Answers `known` (last events of phases ordered before) and `refused` (with message).

        One phase of a tree at a time. A phase ordered before and still waiting to be started has `ev` `queued`.
        """
        return self._ask("start", runs=runs)

    def kill(self, trees: list[Event]) -> list[str]:
        """Kill trees, each {tree, grace_s, reason}. Returns those of which nothing runs."""
        unknown: list[str] = self._ask("kill", trees=trees)["unknown"]
        return unknown

    def release(self, trees: list[str]) -> list[Event]:
        """Forget the outcomes of trees; their ids may never be used again. Returns the refused: not over yet."""
        refused: list[Event] = self._ask("release", trees=trees)["refused"]
        return refused

    def lease(self, sent_boottime: float) -> None:
        """Tell when the last heartbeat that succeeded was sent, in seconds of CLOCK_BOOTTIME."""
        self._ask("lease", sent_boottime=sent_boottime)

    def list_runs(self) -> list[Event]:
        """Return the last event of each phase not released."""
        runs: list[Event] = self._ask("list")["runs"]
        return runs

    def ping(self) -> Event:
        """Return the hello of the supervisor: version, pid, kind of tree, missing powers."""
        hello: Event = self._ask("ping")["hello"]
        return hello

    def shutdown(self, grace_s: float) -> None:
        """Stop all trees and then the supervisor; `events` still yields their ends, then stops."""
        self._closed = True
        self._ask("shutdown", grace_s=grace_s)

    def events(self) -> Iterator[Event]:
        """Yield events for good, connecting again (and restarting the supervisor) whenever it is lost.

        Ends after `close` or `shutdown`. One thread iterates. Raises `SupervisorLostError` when no supervisor can
        be started.
        """
        while True:
            news = self._events.get()
            if isinstance(news, list):
                yield from news
            elif self._closed:
                return
            elif news is self._connection:
                self._connect()

    def close(self) -> None:
        """Leave; the supervisor and all trees stay."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, op: str, **fields: Any) -> Event:
        connection = self._connection
        if connection is None:
            raise SupervisorLostError("not connected")
        return connection.ask({"op": op, **fields})

    def _connect(self) -> None:
        give_up = time.monotonic() + _CONNECT_TIMEOUT_S
        while True:
            connected = start_or_connect(self._directory, self._python, self._tree)
            try:
                self._connection = _Connection(connected, self._events)
                self.hello = self._connection.hello
                self._events.put([{"ev": "connected", "hello": self.hello}])
                self._connection.begin()
            except SupervisorVersionError:
                raise
            except SupervisorLostError:  # it died or shut down in this very moment
                if time.monotonic() > give_up:
                    raise
            else:
                return


class _Connection:
    """One socket with its reading thread: answers go to who waits for them, events into the queue.

    The last thing in the queue is the connection itself: it is lost.
    """

    def __init__(self, connected: socket.socket, events: "_Events") -> None:
        self._socket = connected
        self._events = events
        self._file = connected.makefile("rb")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Event | None]] = {}
        self._lost = False
        self.hello = self._greet()

    def _greet(self) -> Event:
        """Read the first line. Raises `SupervisorLostError` and `SupervisorVersionError`, and closes."""
        try:
            line = self._file.readline()
            hello: Event = json.loads(line) if line else {}
        except OSError:  # it was just ending
            hello = {}
        version = hello.get("version")
        if isinstance(version, int) and OLDEST <= version <= VERSION:
            return hello
        self._file.close()
        self._socket.close()
        if version is None:
            raise SupervisorLostError("the supervisor was just ending")
        raise SupervisorVersionError(
            f"process {hello.get('pid')} speaks version {version} of its protocol, this release {OLDEST} to {VERSION}; "
            "drain the node with the release that it belongs to, or end that process and its jobs"
        )

    def begin(self) -> None:
        """Start reading and subscribe."""
        threading.Thread(target=self._read, name="supervisor events", daemon=True).start()
        self.ask({"op": "subscribe"})

    def ask(self, message: Event) -> Event:
        """Send a message and return its answer. Raises `SupervisorLostError`, and `ValueError` if refused."""
        answers: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        number = next(self._numbers)
        data = json.dumps({"id": number, **message}).encode() + b"\n"
        with self._lock:
            if self._lost:
                raise SupervisorLostError("the supervisor is gone")
            self._waiting[number] = answers
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise SupervisorLostError(str(error)) from error
        try:
            answer = answers.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            raise SupervisorLostError(f"no answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise SupervisorLostError("the supervisor is gone")
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def close(self) -> None:
        """Close; the reading thread ends by itself."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._file:
                message = _message(line)
                if message.get("events"):
                    self._events.put(message["events"])
                waiting = self._waiting.get(message.get("re", 0))
                if waiting is not None:
                    waiting.put(message)
        with self._lock:
            self._lost = True
            for answers in self._waiting.values():
                answers.put(None)
        self._file.close()
        self._socket.close()
        self._events.put(self)


_Events = queue.SimpleQueue[list[Event] | _Connection]


def _message(line: bytes) -> Event:
    """Read one line of the supervisor, fast unless it holds text that is none in Unicode."""
    try:
        message: Event = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = json.loads(line)
    return message


def start_or_connect(directory: Path, python: str, tree: str | None = None) -> socket.socket:
    """Return a connection to the directory's supervisor, started if none answers. Raises `SupervisorLostError`."""
    give_up = time.monotonic() + _CONNECT_TIMEOUT_S
    trouble, failures = "", 0
    while time.monotonic() < give_up and failures < _LAUNCHES:
        try:
            return _dial(directory)
        except OSError as error:
            trouble = str(error)
        if not _launch(directory, python, tree):
            failures += 1
            time.sleep(_RETRY_S)
    reason = _last_words(directory / _LOG) or trouble
    raise SupervisorLostError(f"no supervisor for {directory}: {reason} (see {directory / _LOG})")


def _last_words(log: Path) -> str:
    """Return the last line of the supervisor's log without its time and pid; `""` where there is none."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return re.sub(r"^\S+ supervisor \d+: ", "", last)
    return ""


def _dial(directory: Path) -> socket.socket:
    """Connect, reaching the folder by descriptor: a socket's own path may have only 107 characters."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(f"/proc/self/fd/{folder}/supervisor.sock")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def _mark() -> dict[str, str]:
    """Return the one variable a supervisor inherits: by it `ganger up` finds, at its end, what it started."""
    return {name: value for name, value in os.environ.items() if name == "GANGER_UP"}


def _launch(directory: Path, python: str, tree: str | None) -> bool:
    """Start a supervisor in a session of its own. Returns whether it became ready; another may hold the lock."""
    _reap()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    forced = ["--tree", tree] if tree else []
    argv = [python, "-I", "-S", "-c", BOOT, str(_ROOT), str(directory), *forced]
    reading, writing = os.pipe2(os.O_CLOEXEC)
    log = os.open(directory / _LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        pid = os.posix_spawn(
            python, argv, _mark(), file_actions=actions, setsid=True, setsigmask=(), setsigdef=_PYTHON_IGNORES
        )
    finally:
        os.close(writing)
        os.close(log)
    _started.add(pid)
    try:
        return syscalls.readable_within(reading, _READY_TIMEOUT_S) and os.read(reading, 16) == b"ready\n"
    finally:
        os.close(reading)


def _reap() -> None:
    """Collect supervisors that this process started and that have ended since."""
    for pid in list(_started):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _started.discard(pid)
