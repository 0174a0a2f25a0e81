"""One child process under our care: started, watched, recorded by its identity, stopped.

It leads a session of its own, so that Ctrl-C at the terminal reaches only us and we end everything in order. If we die
before we could, the kernel sends it a signal (the parent-death signal). The kernel ties that signal to the thread that
started the process, so processes are started from the main thread, which lives longest.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.up.embedded import processes
from api.up.embedded.account import UnixAccount
from api.up.embedded.processes import ProcessIdentity

# Waits so many seconds; whoever supervises passes one that also notices its own stop signals.
Pause = Callable[[float], None]
# In the environment of everything that is started on a state folder, with the folder as its value: by this mark it is
# found whoever its parent has become since.
MARK = "GANGER_UP"
PR_SET_PDEATHSIG = 1
POLL_S = 0.02
# Between the last warning and SIGKILL's effect lies only the kernel.
KILL_WAIT_S = 5.0
# A shell or nohup may have had us ignore these. The process gets their defaults back: we stop it by one of them.
RESET_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Enough to carry the reason a server died with, which is in its last lines.
TAIL_BYTES = 8192

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """The command of a process, its surroundings, and the way it wants to be stopped."""

    name: str
    argv: Sequence[str | Path]
    log: Path
    record: Path
    environment: Mapping[str, str]
    account: UnixAccount | None = None
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 30.0
    death_signal: signal.Signals | None = None  # what it gets should we die; by default the stop signal
    umask: int = -1  # that of the one who starts it


@dataclass(slots=True)
class ChildProcess:
    """The process of one ChildSpec; may be started again after it ended."""

    spec: ChildSpec
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _asked: bool = False

    @property
    def pid(self) -> int | None:
        """The id of the process while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def start(self) -> None:
        """Start the process, its output appended to the log. Raises OSError if it cannot be started."""
        spec = self.spec
        with open(spec.log, "ab", opener=_private) as log:
            self._process = subprocess.Popen(
                [os.fspath(part) for part in spec.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(spec.environment),
                cwd=spec.folder or "/",
                start_new_session=True,
                umask=spec.umask,
                preexec_fn=_die_with(os.getpid(), spec.death_signal or spec.stop_signal),  # noqa: PLW1509 - we have one thread
                user=spec.account.uid if spec.account else None,
                group=spec.account.gid if spec.account else None,
                extra_groups=[] if spec.account else None,
            )
        self._asked = False
        identity = processes.identify(self._process.pid)
        if identity is not None:
            with open(spec.record, "w", opener=_private) as record:
                record.write(identity.text() + "\n")

    def ended(self) -> int | None:
        """Return the exit code (negative: the signal) once the process has ended, None while it runs."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None:
            self.spec.record.unlink(missing_ok=True)
        return code

    def request_stop(self) -> None:
        """Ask the process to end, once, and do not wait for it."""
        if self._process is not None and self.ended() is None and not self._asked:
            self._process.send_signal(self.spec.stop_signal)
            self._asked = True

    def stop(self, pause: Pause = time.sleep) -> None:
        """Ask the process to end, wait as long as its ChildSpec allows, then kill its whole group; safe to repeat."""
        process = self._process
        if process is None or self.ended() is not None:
            return
        self.request_stop()
        if not self._gone_within(self.spec.stop_within_s, pause):
            _kill_group(process.pid)
            self._gone_within(KILL_WAIT_S, pause)

    def last_error_line(self) -> str:
        """Return the last line of the log that names a reason, for a message in one line."""
        return last_error_line_of(self.spec.log)

    def _gone_within(self, seconds: float, pause: Pause) -> bool:
        deadline = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() > deadline:
                return False
            pause(POLL_S)
        return True


def end_recorded(record: Path, stop_signal: signal.Signals, within_s: float, pause: Pause = time.sleep) -> bool:
    """End what an earlier, killed supervisor recorded and left running; tells whether there was anything to end."""
    identity = processes.parse(record.read_text()) if record.exists() else None
    ended = end([identity] if identity else [], stop_signal, within_s, pause)
    record.unlink(missing_ok=True)
    return ended > 0


def end(
    identities: Iterable[ProcessIdentity], stop_signal: signal.Signals, within_s: float, pause: Pause = time.sleep
) -> int:
    """End processes that need not be our children, side by side; returns how many of them ran."""
    left = [identity for identity in identities if identity.signal(stop_signal)]
    count = len(left)
    deadline = time.monotonic() + within_s
    while (left := [identity for identity in left if identity.running()]) and time.monotonic() < deadline:
        pause(POLL_S)
    left = [identity for identity in left if identity.signal(signal.SIGKILL)]
    while (left := [identity for identity in left if identity.running()]) and time.monotonic() < deadline + KILL_WAIT_S:
        pause(POLL_S)
    return count


def last_error_line_of(log: Path) -> str:
    """Return the last line that says FATAL, PANIC or the like, else the last line, else an empty text."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    telling = [line for line in lines if any(word in line for word in ("PANIC", "FATAL", "rror:", "# "))]
    return (telling or lines or [""])[-1]


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """Make what the child does between fork and exec; after the switch of user, which would clear the wish."""

    def prepare() -> None:
        for number in RESET_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the wish was made

    return prepare


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
