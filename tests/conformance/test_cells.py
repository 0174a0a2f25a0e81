"""Runs that start from the same cell find nothing of each other, whatever the one before has left, and nothing that is new."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import supervised
from tests.support.supervised import STRANGER, Event, Play, Stage
from workers.agent.supervisor_client.launch import SupervisorLostError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root confines by itself")

FIND = """
import ctypes, glob, subprocess
found = [path for folder in ("/tmp", "/var/tmp", "/dev/shm") for path in glob.glob(folder + "/*") if "left" in path]
for kind in "mqs":
    found += [line for line in subprocess.run(["ipcs", "-" + kind], capture_output=True, text=True).stdout.splitlines() if line[:2] == "0x"]
if ctypes.CDLL(None).mq_open(b"/left", 0) != -1: found.append("queue")
found += os.listxattr("/dev/shm")
mode, owner = os.stat("/dev/shm").st_mode & 0o7777, os.stat("/dev/shm").st_uid
print(found, oct(mode), owner == os.getuid(), open("/proc/self/cgroup").read().count("slot-"))
"""
LEAVINGS = {
    "nothing": "pass",
    "a file in memory": "open('/dev/shm/left', 'w').write('x')",
    "shared memory": "import subprocess; subprocess.run(['ipcmk', '--shmem', '4096'], check=True)",
    "semaphores": "import subprocess; subprocess.run(['ipcmk', '--semaphore', '1'], check=True)",
    "a queue": "import subprocess; subprocess.run(['ipcmk', '--queue'], check=True)",
    "a named queue": "import ctypes; assert ctypes.CDLL(None).mq_open(b'/left', 0o102, 0o666, None) >= 0",
    "rights for somebody else": """
import struct
entries = ((1, 7, 0xFFFFFFFF), (2, 7, 12345), (4, 0, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF))
block = struct.pack("I", 2) + b"".join(struct.pack("HHI", *entry) for entry in entries)
for name in ("access", "default"): os.setxattr("/dev/shm", "system.posix_acl_" + name, block)""",
    "another mode": "os.chmod('/dev/shm', 0o777)",
    "another temporary folder": "os.rename('tmp', 'old'); os.mkdir('tmp')",
}


@pytest.fixture(scope="module", params=["cgroup2", "cgroup1", "scan"])
def held(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A supervisor with each kind of tree that takes cells and works here."""
    try:
        with supervised.stage(request.param) as stage:
            yield stage
    except SupervisorLostError as error:
        pytest.skip(f"{request.param} does not work here: {error}")


class Attempts:
    """One folder, given to one attempt after another under a new name and to a new user."""

    def __init__(self, held: Stage) -> None:
        self.held, self._folder, self._user = held, held.play().folder, STRANGER
        (self._folder / "tmp").mkdir()

    def run(self, code: str, **more: Any) -> tuple[Play, str]:
        """Run a Python program as the next attempt, which ends well; return its play and what it printed."""
        play, ended = self.end(lambda play: play.run(code), **more)
        printed = {name: (self.held.ground / f"{play.tree}.{name}").read_text() for name in ("stdout", "stderr")}
        assert ended["exit_code"] == 0, (ended, printed["stderr"])
        return play, printed["stdout"].strip()

    def end(self, run: Callable[[Play], Event], limits: Event | None = None, **more: Any) -> tuple[Play, Event]:
        """Run a program as the next attempt, confined as an agent would have it; return its play and its end."""
        play, self._user = self.held.play(), self._user + 1
        for fifo in ("ready", "alive"):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / fifo).unlink()
            (play.folder / fifo).rename(self._folder / fifo)
        play.folder.rmdir()
        self._folder = self._folder.rename(play.folder)
        for folder in (self._folder / "tmp", self._folder):
            os.chown(folder, self._user, self._user)
        confinement = {"tmp": str(self._folder / "tmp"), "writable": [str(self._folder)], "readable": [str(self.held.ground)],
                       "calls": "strict", "kept": True} | more  # fmt: skip
        who = {"uid": self._user, "gid": self._user, "folder": str(self._folder), "cwd": str(self._folder)}
        outputs = {name: str(self.held.ground / f"{play.tree}.{name}") for name in ("stdout", "stderr")}
        return play, self.held.do(run(play) | who | outputs | {"confinement": confinement, "limits": limits or {}})

    def threads(self) -> set[str]:
        return {path.name for path in Path(f"/proc/{self.held.pid()}/task").iterdir()}


@pytest.mark.parametrize("left", LEAVINGS)
def test_nothing_is_found_of_the_run_before(held: Stage, left: str) -> None:
    attempts = Attempts(held)
    _, at_first = attempts.run(FIND)
    attempts.run(LEAVINGS[left])
    _, found = attempts.run(FIND)
    assert (found, found.startswith("[] 0o700 True")) == (at_first, True)


def test_the_next_run_in_the_same_folder_starts_from_the_same_cell(held: Stage) -> None:
    attempts = Attempts(held)
    attempts.run("pass")
    before = attempts.threads()
    play, _ = attempts.run("open('/tmp/mine', 'w').write('x'); open('here', 'w').write('x')")
    assert attempts.threads() == before
    assert (play.folder / "tmp/mine").stat().st_uid == (play.folder / "here").stat().st_uid


def test_a_run_after_the_machine_has_got_a_new_mount_cannot_write_there(held: Stage) -> None:
    attempts = Attempts(held)
    attempts.run("pass")
    place = held.ground / f"mounted-{len(list(held.ground.iterdir()))}"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "none", place], check=True)
    try:
        code = f"try: open('{place}/x', 'w')\nexcept OSError as error: print(error.errno)\nelse: print('written')"
        assert attempts.run(code)[1] == "30"
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_shared_folder_that_was_replaced_can_be_written(held: Stage) -> None:
    attempts = Attempts(held)
    shared = held.ground / f"replaced-{len(list(held.ground.iterdir()))}"
    for name in ("one", "two"):
        shared.mkdir()
        shared.chmod(0o777)
        attempts.run(f"open({str(shared / name)!r}, 'w').write('y')", writable=[str(attempts._folder), str(shared)])
        assert (shared / name).read_text() == "y"
        shared.rename(f"{shared}-{name}")


def test_processes_and_their_limit_are_those_of_the_run_alone(held: Stage) -> None:
    attempts = Attempts(held)
    for _ in range(2):
        _, printed = attempts.run("print(os.getppid() != 1, len(os.listdir('/proc/self/task')))")
        assert printed == "True 1"


def nothing(play: Play) -> Event:
    return play.command(["/bin/true"])


def limits_of_memory(held: Stage) -> list[Path]:
    """Return the files with the limits of memory of the slots that there are."""
    return [path for folder in supervised.cgroups_of(held) for path in Path(folder).glob("memory.limit_in_bytes")]


def skip_unless_threads_are_limited(held: Stage) -> None:
    hello = held.supervision.hello
    if hello["tree"] != "cgroup1" or any("Memory is not limited" in sentence for sentence in hello["missing"]):
        pytest.skip("no thread of a supervisor is under a limit of memory here")


def starve(limit: Path) -> None:
    """Leave a slot no room for anything, but what goes by itself."""
    with contextlib.suppress(OSError):  # it holds more than that; what can be had back is by now
        limit.write_text("4096")
    with contextlib.suppress(OSError):  # it has grown meanwhile
        limit.write_text(limit.with_name("memory.usage_in_bytes").read_text())


@pytest.mark.parametrize("kept", [True, False], ids=["in a cell", "in a thread of its own"])
def test_a_program_that_needs_next_to_no_memory_fits_into_any_limit(held: Stage, kept: bool) -> None:
    skip_unless_threads_are_limited(held)
    attempts, pid = Attempts(held), held.pid()
    ends = [attempts.end(nothing, {"mem": 100}, kept=kept)[1] for _ in range(50)]
    assert {(end["reason"], end["exit_code"], end["oom"]) for end in ends} == {("exit", 0, False)}
    assert held.supervision.ping()["pid"] == pid


def test_a_supervisor_outlives_starts_that_the_kernel_has_no_memory_for(held: Stage) -> None:
    skip_unless_threads_are_limited(held)
    attempts, pid, ends = Attempts(held), held.pid(), []
    for _ in range(20):
        attempts.end(nothing, {"mem": 64_000})
        for path in limits_of_memory(held):
            starve(path)
        ends.append(attempts.end(nothing, {"mem": 64_000})[1])
        for path in limits_of_memory(held):
            path.write_text(str(64 << 20))
    assert "launch" in {end["reason"] for end in ends}, "none was short of memory"
    assert attempts.end(nothing, {"mem": 64_000})[1]["exit_code"] == 0
    assert held.supervision.ping()["pid"] == pid
