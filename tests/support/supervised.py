"""A supervisor of its own for a test, and programs whose every process can be waited for and counted without sleeping."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import workers
from tests.support.waiting import readable
from workers.agent.supervisor_client.client import SupervisorClient
from workers.agent.supervisor_client.launch import BOOT
from workers.supervisor.trees import choice, hierarchy

PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
STRANGER = 54321  # a user that owns nothing else on the machine
WAIT_S = 30.0

Event = dict[str, Any]

# Begins every program: ALIVE is held open for writing by each of its processes, so its end of file is their end;
# a letter into READY says that the stage is set.
PROLOGUE = """
import os, signal, sys, time
alive = os.open(os.environ["ALIVE"], os.O_WRONLY)
os.set_inheritable(alive, True)
def ready():
    with open(os.environ["READY"], "w") as file: file.write("x")
def rest():
    while True: signal.pause()
"""


class RawClient(SupervisorClient):
    """Speaks the supervisor's own messages, as the agent's client sends and receives them."""

    STARTS = True

    def start(self, runs: list[Event]) -> Event:
        return self.ask("start", runs=runs)

    def kill(self, trees: list[Event]) -> list[str]:
        unknown: list[str] = self.ask("kill", trees=trees)["unknown"]
        return unknown

    def release(self, trees: list[str]) -> list[Event]:
        refused: list[Event] = self.ask("release", trees=trees)["refused"]
        return refused

    def list_runs(self) -> list[Event]:
        runs: list[Event] = self.ask("list")["runs"]
        return runs

    def ping(self) -> Event:
        hello: Event = self.ask("ping")["hello"]
        return hello


class Play:
    """One program on its stage: files for its output, and FIFOs to hear of its processes."""

    def __init__(self, ground: Path, tree: str) -> None:
        self.tree = tree
        self.folder = ground / tree
        self.folder.mkdir()
        self._fifos = {name: self.folder / name for name in ("ready", "alive")}
        self._readers = {}
        for name, path in self._fifos.items():
            os.mkfifo(path)
            path.chmod(0o666)
            self._readers[name] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.folder.chmod(0o755)
        os.chown(self.folder, ground.stat().st_uid, -1)

    def run(self, code: str, **more: Any) -> Event:
        """Return the run of a Python program with the prologue."""
        return self.command([PYTHON, "-S", "-E", "-c", PROLOGUE + code], **more)

    def command(self, argv: list[str], **more: Any) -> Event:
        """Return the run of a command."""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        environment |= {name.upper(): str(path) for name, path in self._fifos.items()}
        run = {"tree": self.tree, "phase": "job", "argv": argv, "env": environment, "cwd": "/", "grace_s": 0.2}
        return run | {"stdout": str(self.folder / "out"), "stderr": str(self.folder / "err")} | more

    def wait_ready(self) -> None:
        """Wait until the program says that its stage is set."""
        assert readable([self._readers["ready"]], WAIT_S), f"never ready: {self.output('err')}"
        os.read(self._readers["ready"], 16)

    def wait_dead(self) -> None:
        """Wait until no process holds ALIVE any more; some must have held it."""
        assert readable([self._readers["alive"]], WAIT_S)
        assert os.read(self._readers["alive"], 16) == b""

    @property
    def is_dead(self) -> bool:
        """Whether, right now, no process of it is alive."""
        try:
            return os.read(self._readers["alive"], 16) == b""
        except BlockingIOError:
            return False

    def output(self, name: str = "out") -> str:
        """Return what it wrote so far."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """Close the FIFOs."""
        for reader in self._readers.values():
            os.close(reader)


class Stage:
    """A supervisor, its events, and the plays on it."""

    def __init__(self, ground: Path, supervised: RawClient) -> None:
        self.ground = ground
        self.supervision = supervised
        self.events: list[Event] = []
        self._incoming = supervised.messages()
        self._plays: list[Play] = []

    def play(self, tree: str | None = None) -> Play:
        """Return a new play; trees are numbered."""
        play = Play(self.ground, tree or f"{len(self._plays) + 1}.1")
        self._plays.append(play)
        return play

    def hear(self, ev: str, tree: str | None = None) -> Event:
        """Return the next event of a kind, of a tree; what comes before it is kept in `events`."""
        while True:
            event = next(self._incoming)
            self.events.append(event)
            if event["ev"] == ev and tree in {None, event.get("tree")}:
                return event

    def end(self, play: Play) -> Event:
        """Return the end of a play, heard already or yet to come."""
        for event in self.events:
            if event["ev"] == "ended" and event["tree"] == play.tree:
                return event
        return self.hear("ended", play.tree)

    def do(self, run: Event) -> Event:
        """Run to the end."""
        answer = self.supervision.start([run])
        assert not answer["refused"], answer
        return self.hear("ended", run["tree"])

    def pid(self) -> int:
        """Return the supervisor's pid."""
        pid: int = self.supervision.hello["pid"]
        return pid

    def kill_supervisor(self) -> None:
        """Kill -9, and wait until it is gone."""
        descriptor = os.pidfd_open(self.pid())
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            readable([descriptor], WAIT_S)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """End supervisor and plays."""
        self.supervision.close()
        with RawClient(self.ground / "node") as last:  # the test may have closed or killed the other
            last.shutdown(0)
            for event in last.messages():
                self.events.append(event)
        for play in self._plays:
            play.close()


@contextlib.contextmanager
def stage(tree: str | None = None, user: int | None = None) -> Iterator[Stage]:
    """Give a supervisor with a kind of tree, run by `user`; it and all its trees end with the block.

    Raises `SupervisorLostError` where it can't be had here.
    """
    ground = Path(tempfile.mkdtemp(prefix="ganger-"))
    ground.chmod(0o755)
    node = ground / "node"
    node.mkdir(0o700)
    started = None
    try:
        if user is not None:
            for path in (ground, node):
                os.chown(path, user, user)
            started = as_user(node, tree, user)
        with contextlib.closing(Stage(ground, RawClient(node, tree=tree))) as ready:
            yield ready
    finally:
        if started is not None:
            started.wait(WAIT_S)
        shutil.rmtree(ground, ignore_errors=True)


def as_user(node: Path, tree: str | None, user: int) -> subprocess.Popen[bytes]:
    """Start a supervisor as another user, who can't read this checkout: it gets a copy of what it needs."""
    root = node.parent / "source"
    shutil.copytree(Path(workers.__file__).parent, root / "workers", ignore=shutil.ignore_patterns("*.pyc"))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    forced = ["--tree", tree] if tree else []
    process = subprocess.Popen(
        [PYTHON, "-I", "-S", "-c", BOOT, str(root), str(node), *forced],
        user=user, group=user, extra_groups=[], cwd="/", env={}, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def cgroups_of(stage: Stage) -> list[str]:
    """Return the folders that trees of this stage's node have in any cgroup hierarchy."""
    node = choice.node_name(str(stage.ground / "node"))
    tops = {mount.path for mount in hierarchy.mounts()}
    return [str(folder) for top in tops for folder in Path(top).glob(f"{node}/*/")]
