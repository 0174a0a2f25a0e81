"""A socket to the supervisor of a node's directory. One is started where none answers."""

import contextlib
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from workers.supervisor import syscalls

CONNECT_TIMEOUT_S: Final = 60.0
BOOT: Final = "import sys; sys.path.append(sys.argv.pop(1)); from workers.supervisor import main; main.main()"
_READY_TIMEOUT_S: Final = 30.0
_RETRY_S: Final = 0.2  # between attempts to connect, while another agent's supervisor starts or ends
_LAUNCHES: Final = 10  # failed ones in a row; one fails when another agent's supervisor is just starting
_LOG: Final = "supervisor.log"
_LAST_WORDS_BYTES: Final = 4096
_PYTHON_IGNORES: Final = (signal.SIGPIPE, signal.SIGXFSZ)
_started: set[int] = set()  # supervisors that are children of this process
_ROOT: Final = Path(__file__).resolve().parents[3]


class SupervisorLostError(ConnectionError):
    """There is no connection to a supervisor now. The client makes a new one, and the request may be repeated."""


def start_or_connect(directory: Path, python: str = sys.executable, tree: str | None = None) -> socket.socket:
    """Return a connection to the directory's supervisor, started if none answers. Raises `SupervisorLostError`.

    `tree` forces a kind of process tree on a supervisor that is started.
    """
    give_up = time.monotonic() + CONNECT_TIMEOUT_S
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
    """Return the one variable that a supervisor inherits: by it `ganger up` finds, at its end, what it started."""
    return {name: value for name, value in os.environ.items() if name == "GANGER_UP"}


def _launch(directory: Path, python: str, tree: str | None) -> bool:
    """Start a supervisor in a session of its own. Returns whether it became ready: another may hold the lock."""
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
