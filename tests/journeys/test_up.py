"""`ganger up` as its user meets it: it starts, survives the death of its parts, resumes, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.up.embedded import processes
from tests.support.installation import Installation
from tests.support.servers import state_folder


@pytest.fixture
def root() -> Iterator[Path]:
    with state_folder(spaced=True) as path:
        yield path


@pytest.fixture(scope="module")
def shared() -> Iterator[Installation]:
    """One for all tests: each leaves it running, or stopped in an orderly way, as `ganger up` itself must bear."""
    with state_folder(spaced=True) as root:
        made = Installation(root)
        yield made
        if is_up(made):
            assert made.stop() == 0
        assert made.left() == []


@pytest.fixture
def running(shared: Installation) -> Installation:
    return shared if is_up(shared) else shared.start()


def is_up(made: Installation) -> bool:
    return made.process is not None and made.process.poll() is None


def refused(*words: str, **environment: str) -> str:
    """The one line that a `ganger up` says which cannot start."""
    told = subprocess.run(
        [sys.executable, "-m", "ganger", "up", "--port", "0", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    return told.stderr.strip().splitlines()[-1]


def test_a_second_one_on_the_same_folder_is_refused_and_disturbs_nothing(running: Installation) -> None:
    line = refused("--state-dir", str(running.root))
    assert "another `ganger up` (process" in line
    assert "--state-dir" in line
    port = running.ready["url"].rpartition(":")[2]
    assert "another `ganger up` (process" in refused("--state-dir", str(running.root), "--port", port)
    assert running.wait(running.submit("/bin/true"))["status"] == "COMPLETED"


def test_a_port_in_use_is_one_clear_line_and_starts_nothing(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = refused("--state-dir", str(root), "--port", str(taken.getsockname()[1]))
    assert "cannot listen on 127.0.0.1 port" in line
    assert "--port" in line
    assert list(root.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_clear_line() -> None:
    assert "choose another folder with --state-dir" in refused("--state-dir", "/proc/ganger")


@pytest.mark.parametrize("name", ["GANGER_DATABASE_URL", "GANGER_BROKER_URL"])
def test_a_server_of_ones_own_out_of_reach_is_one_clear_line(root: Path, name: str) -> None:
    scheme = {"GANGER_DATABASE_URL": "postgresql", "GANGER_BROKER_URL": "redis"}[name]
    line = refused("--state-dir", str(root), **{name: f"{scheme}://ann:secret@127.0.0.1:1/0"})
    assert "cannot be reached" in line
    assert name in line
    assert "secret" not in line
    assert processes.with_variable(f"GANGER_UP={root}") == []


def test_ctrl_c_ends_everything_and_the_next_start_goes_on(running: Installation) -> None:
    done = running.submit("/bin/echo", "before")
    running.wait(done)
    waiting = running.submit("/bin/echo", "after", cpus_required=10**6)
    assert running.stop() == 0
    assert running.left() == []
    running.start()
    assert running.job(done)["status"] == "COMPLETED"
    assert running.job(waiting)["status"] == "QUEUED"
    assert running.wait(running.submit("/bin/true"))["status"] == "COMPLETED"


@pytest.mark.parametrize("role", ["api", "scheduler", "agent", "postgres", "valkey"])
def test_a_part_that_is_killed_is_started_again_and_work_goes_on(running: Installation, role: str) -> None:
    before = running.processes(role)[0]
    os.kill(before.pid, signal.SIGKILL)
    running.until(lambda: [p for p in running.processes(role) if p.pid != before.pid], f"another {role}")
    assert running.until(lambda: running.submit("/bin/true"), "a job to be taken")
    assert running.wait(running.submit("/bin/true"))["status"] == "COMPLETED"
    assert "was killed by SIGKILL; starting it again in" in running.told()


def test_when_the_launcher_itself_is_killed_its_servers_and_roles_end_and_the_next_takes_over(
    running: Installation,
) -> None:
    assert running.process is not None
    job = running.submit("/bin/sleep", "5")
    running.wait(job, "RUNNING")
    running.process.kill()
    running.process.wait()
    for role in ("api", "scheduler", "agent", "postgres", "valkey"):
        running.until(lambda: not running.processes(role), f"{role} to end")  # noqa: B023  called right here
    running.start()
    assert running.wait(job)["status"] == "COMPLETED"
    assert running.job(job)["num_exes"] == 1
