"""A node that its own checks find unfit says why, is offered nothing, keeps what it runs, and comes back by itself.

The real thing each time: a disk that is full, a control group without a process to spare, a frozen process.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

CGROUPS = Path("/sys/fs/cgroup")
DISK_MIB = 160

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can fill a disk of its own, and limit and freeze")


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    """An installation whose node has a small disk of its own."""
    with state_folder() as root:
        nodes = root / "nodes"
        nodes.mkdir(mode=0o711)
        options = f"size={DISK_MIB}m,mode=711"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "ganger-test", nodes], check=True)
        made = Installation(root)
        try:
            yield made.start()
        finally:
            if made.process is not None and made.process.poll() is None:
                made.stop()
            subprocess.run(["umount", "--lazy", nodes], check=True)


def node(here: Installation) -> dict[str, Any]:
    (found,) = here.api.get("/nodes/").json()["results"]
    return dict(found)


def told(here: Installation) -> str:
    """Return what a person sees."""
    token = Path(here.ready["token_file"]).read_text().strip()
    where = {"GANGER_API_URL": here.ready["url"], "GANGER_TOKEN": token, "COLUMNS": "300"}
    run = [sys.executable, "-m", "ganger", "nodes"]
    return subprocess.run(run, env={**os.environ, **where}, capture_output=True, text=True, check=True).stdout


def check(here: Installation, reason: str, heal: Callable[[], object]) -> None:
    """Hold the node against what a degraded one must be, have it healed, and hold it against what a ready one must be."""
    try:
        here.until(lambda: reason in str(node(here)["degraded"]), f"a node that is degraded: {reason}")
        assert "DEGRADED" in told(here)
        assert reason in told(here)
        job_id = here.submit("/bin/true")
        explain = f"/jobs/{job_id}/explain/"
        here.until(lambda: "node-not-ready" in here.api.get(explain).text, "an explanation that names the node")
        assert (here.job(job_id)["status"], here.job(job_id)["num_exes"]) == ("QUEUED", 0)
    finally:
        heal()
    assert here.wait(job_id)["status"] == "COMPLETED"
    assert node(here)["degraded"] is None
    assert "DEGRADED" not in told(here)


def test_a_full_disk(here: Installation) -> None:
    running = here.submit("/bin/sleep", "600")
    here.wait(running, "RUNNING")
    here.until(lambda: here.job(running)["job_exes"][0]["job_started"], "the program to have begun")
    filler = here.root / "nodes" / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    check(here, "MiB are free in", filler.unlink)
    assert here.job(running)["status"] == "RUNNING"
    here.api.patch(f"/jobs/{running}/", json={"status": "CANCELED"})


def v1_group(controller: str) -> Path:
    parent = CGROUPS / controller
    if not (parent / "cgroup.procs").exists():
        pytest.skip(f"there is no hierarchy of version 1 with {controller} here")
    made = parent / f"ganger-test-{token_hex(4)}"
    made.mkdir()
    return made


def test_no_process_to_spare(here: Installation) -> None:
    group = v1_group("pids")
    (agent,) = here.processes("agent")
    try:
        (group / "cgroup.procs").write_text(str(agent.pid))
        most = int((group / "pids.current").read_text()) + 8
        (group / "pids.max").write_text(str(most))
        check(here, f"of {most} processes that the node may have", lambda: (group / "pids.max").write_text("max"))
    finally:
        (CGROUPS / "pids" / "cgroup.procs").write_text(str(agent.pid))
        with contextlib.suppress(OSError):
            group.rmdir()


def test_a_process_that_cannot_be_killed(here: Installation) -> None:
    """A frozen process stays whatever signal it gets, as one does that waits for a dead disk."""
    group = v1_group("freezer")
    job_id = here.submit("/bin/sleep", "600")
    (execution,) = here.wait(job_id, "RUNNING")["job_exes"]
    pid = here.until(lambda: pid_of(here, execution["id"]), "the process of the job")
    (group / "cgroup.procs").write_text(str(pid))
    (group / "freezer.state").write_text("FROZEN")
    try:
        here.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
        check(here, "processes that cannot be killed: ", lambda: (group / "freezer.state").write_text("THAWED"))
        done = here.wait(job_id)
        assert (done["status"], done["job_exes"][0]["status"]) == ("CANCELED", "CANCELED")
    finally:
        (group / "freezer.state").write_text("THAWED")
        here.until(lambda: not (group / "cgroup.procs").read_text(), "the process to be gone")
        group.rmdir()


def pid_of(here: Installation, execution_id: int) -> int | None:
    """Return the process whose environment names the execution, of those of this installation."""
    for supervisor in here.processes("supervisor"):
        for child in supervisor.children(recursive=True):
            if child.environ().get("GANGER_EXECUTION_ID") == str(execution_id):
                return int(child.pid)
    return None
