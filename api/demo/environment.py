"""The Ganger that the demo runs on: its own on a state folder, started and ended here, or one that runs already."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from api.demo.results import CheckResult
from api.up.embedded import processes, state
from api.up.embedded.child_process import ChildProcess, ChildSpec
from ganger import Client
from ganger.cli.connection import Connection
from scheduler.errors import SetupError

# The first start on a slow machine unpacks the servers and makes a database; `up` itself gives up before this.
READY_WITHIN_S = 180.0
# A node comes up in a second; one that cannot says so in the log of `ganger up`.
NODE_WITHIN_S = 30.0
STOP_WITHIN_S = 60.0
POLL_S = 0.05
# Between SIGTERM and the end of a process that does not listen: one of the jobs is such a one, and people watch.
GRACE_S = "3"
# How long the kernel may take to remove a process that was killed.
REAP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the command. With `url` nothing is started; `keep` is a folder for the results."""

    state_dir: Path | None = None
    url: str | None = None
    token: str | None = None
    examples: Path | None = None
    keep: Path | None = None
    json: bool = False


class DemoEnvironment:
    """Within its `with` there is an API to talk to. `is_ours` tells whether it runs on this machine, by our hand."""

    def __init__(self, options: DemoOptions, report: Callable[[str], None]) -> None:
        self._options = options
        self._report = report
        self._process: ChildProcess | None = None
        self._temporary: Path | None = None
        self._root = options.state_dir
        self._exit: int | None = None
        self.is_ours = options.url is None

    def __enter__(self) -> Self:
        if self.is_ours:
            try:
                self._start()
            except BaseException:
                self._end()
                raise
        else:
            self._await_node()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def client(self) -> Client:
        """Return a client for the API that the demo uses. Raises SetupError if nothing says where it is."""
        target = Connection(self._options.url, self._options.token, self._root).resolve()
        return Client(target.url, target.token)

    def check_end(self) -> list[CheckResult]:
        """Return what is to be said of the end: how `ganger up` ended and what it left running. Call after the `with`."""
        if not self.is_ours:
            return []
        complaints = [] if self._exit == 0 else [f"`ganger up` ended with status {self._exit}"]
        complaints += [f"still runs: {process}" for process in self._left]
        return [CheckResult(what="everything stopped, nothing left running", complaints=complaints)]

    def _start(self) -> None:
        if self._root is None:
            self._temporary = self._root = Path(tempfile.mkdtemp(prefix="ganger-demo-"))
            self._root.chmod(0o711)  # as root the servers are another user's; nothing in it can be listed or read
        root = self._root = Path(os.path.abspath(self._root))  # noqa: PTH100 - resolve() would follow the user's links
        root.mkdir(parents=True, exist_ok=True)
        self._report(f"starting Ganger in {root}")
        spec = ChildSpec(
            name="up",
            argv=[sys.executable, "-P", "-m", "ganger", "up", "--state-dir", root, "--port", "0"],
            log=root / "up.log",
            record=root / ".up.pid",
            environment=_environment(),
            stop_signal=signal.SIGINT,
            stop_within_s=STOP_WITHIN_S,
        )
        (root / state.ADDRESS).unlink(missing_ok=True)
        spec.log.unlink(missing_ok=True)
        self._process = ChildProcess(spec)
        began = time.monotonic()
        self._process.start()
        self._await_ready(root, began)

    def _await_ready(self, root: Path, began: float) -> None:
        process = self._process
        while process is not None and not (root / state.ADDRESS).exists():
            if process.ended() is not None:
                raise SetupError(process.last_error_line().removeprefix("ganger: ") or "`ganger up` ended at once")
            if time.monotonic() > began + READY_WITHIN_S:
                raise SetupError(f"`ganger up` is not ready after {READY_WITHIN_S:.0f} s (see {root}/logs)")
            time.sleep(POLL_S)
        self._await_node()
        self._report(f"ready after {time.monotonic() - began:.1f} s")

    def _await_node(self) -> None:
        """Return when a node is there to run jobs. Raises SetupError, with what is known of the reason."""
        deadline = time.monotonic() + NODE_WITHIN_S
        with self.client() as api:
            while not any(node.is_online for node in api.nodes.list()):
                if time.monotonic() > deadline:
                    reason = self._process.last_error_line().removeprefix("ganger: ") if self._process else ""
                    raise SetupError(f"no node is online after {NODE_WITHIN_S:.0f} s{reason and ': '}{reason}")
                time.sleep(POLL_S)

    def _end(self) -> None:
        if self._process is not None:
            self._report("stopping everything")
            self._process.stop()
            self._exit = self._process.ended()
            self._left = _left_running(self._root)
        if self._temporary is not None:
            home = (self._temporary / "servers").resolve()  # elsewhere, if the servers could not enter here
            shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(self._temporary, ignore_errors=True)

    _left: list[str] = []  # noqa: RUF012 - what an end that never came left: nothing


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, so that it takes down what it put up."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _environment() -> dict[str, str]:
    """Return our environment without what would turn the demo's own Ganger into another one."""
    ours = {"GANGER_API_URL", "GANGER_TOKEN", "GANGER_STATE_DIR", "GANGER_HOST", "GANGER_PORT"}
    kept = {"GANGER_GRACE_S": GRACE_S, **{name: value for name, value in os.environ.items() if name not in ours}}
    if "PYTHONPATH" in kept:  # it runs in another folder
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(entry).absolute()) for entry in kept["PYTHONPATH"].split(os.pathsep) if entry
        )
    return kept


def _left_running(root: Path | None) -> list[str]:
    """Return what still runs that names our state folder, after the kernel had time to remove killed processes."""
    if root is None:
        return []
    deadline = time.monotonic() + REAP_WITHIN_S
    while (left := processes.carrying([str(root)])[str(root)]) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return [f"{process.pid} {process.command}" for process in left]
