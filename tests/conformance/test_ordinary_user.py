"""A node that an ordinary user runs: what its jobs find of it, of its installation, and of each other."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import a_key
from tests.support.node import a_spec
from tests.support.supervised import STRANGER
from workers.agent.supervisor_client.client import SupervisorClient
from workers.agent.supervisor_client.launch import SupervisorLostError

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"/usr/bin/python3.{sys.version_info.minor}"
TOKEN = "token-of-the-node-9c41"
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user"),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"an ordinary user needs {PYTHON}"),
]

LOOK = """
import glob, os, socket, sys
state, token, words = sys.argv[1], sys.argv[2], [word[::-1].encode() for word in sys.argv[3:]]
found = []
def look(path):
    try:
        with open(path, "rb") as file: text = file.read(1 << 20)
    except OSError: return
    if any(word in text for word in words): found.append(path)
for top, _, files in os.walk(state):
    for name in files: look(os.path.join(top, name))
look(token)
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    if path.split("/")[2] != str(os.getpid()): look(path)
for path in glob.glob("/proc/[0-9]*/root"):
    try:
        if path.split("/")[2] != str(os.getpid()) and os.listdir(path): found.append(path)
    except OSError: pass
for path in (state + "/node/supervisor.sock", state + "/node/placements.sock"):
    with socket.socket(socket.AF_UNIX) as door:
        try: door.connect(path); found.append(path)
        except OSError: pass
for pid in (int(path[6:]) for path in glob.glob("/proc/[0-9]*")):
    if pid not in (1, os.getpid()): found.append("process %d" % pid)
for path in (state, os.path.dirname(token) + "/home", os.path.dirname(token)):
    try: open(path + "/left", "w").close(); found.append(path + " is writable")
    except OSError: pass
print(sorted(found))
"""


class PlainNode:
    """A node of an ordinary user, on a folder of that user's."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.api = FakeNodeApi()
        self.root, self.state, self.token = root, root / "state", root / "node-token"
        self.token.write_text(TOKEN)
        (root / "home").mkdir()
        for path in (root, self.token, root / "home"):
            os.chown(path, STRANGER, STRANGER)
        given = {"name": "n1", "api_url": self.api.url, "token": TOKEN, "node_dir": str(self.state / "node"), "cpus": 4000,
                 "hidden": [str(self.state), str(self.token)], **settings}  # fmt: skip
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(root / "home"), "PYTHONPATH": f"{ROOT}:{packages}",
                       "PYTHONDONTWRITEBYTECODE": "1", "GANGER_NODE_TOKEN": TOKEN}  # fmt: skip
        self.log = root / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [PYTHON, "-m", "tests.support.node_process", json.dumps(given)],
                cwd=ROOT, env=environment, user=STRANGER, group=STRANGER, extra_groups=[], stderr=log,
            )  # fmt: skip
        self._placed = 0

    def place(self, *command: str) -> int:
        self._placed += 1
        self.api.place(a_spec(a_key(self._placed), job=command))
        return self._placed

    def run(self, *command: str) -> str:
        """Run a job to its good end; return what it printed."""
        number = self.place(*command)
        report = self.api.report(a_key(number), timeout=60)
        told = self.api.text(a_key(number), "job", "stderr")
        assert (report.outcome, report.phases["job"].exit_code) == ("completed", 0), (report.message, told)
        return self.api.text(a_key(number)).decode().strip()

    def look(self) -> str:
        """Run the job that looks everywhere."""
        return self.run(PYTHON, "-c", LOOK, str(self.state), str(self.token), TOKEN[::-1], "another-s-secret"[::-1])

    def isolation(self) -> str:
        self.api.wait(lambda: self.api.registers, timeout=60)
        return self.api.registers[-1].labels["isolation"]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(SupervisorLostError, OSError):
            if (self.state / "node/supervisor.sock").exists():
                SupervisorClient(self.state / "node").shutdown(0.0)
        self.api.close()


@contextlib.contextmanager
def plain_node(**settings: Any) -> Iterator[PlainNode]:
    root = Path(tempfile.mkdtemp(prefix="ganger-plain-", dir="/var/lib"))  # /tmp is each job's own
    root.chmod(0o755)
    node = PlainNode(root, **settings)
    try:
        yield node
    finally:
        node.close()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def node() -> Iterator[PlainNode]:
    """A node that keeps its jobs apart, where the machine lets ordinary users make namespaces."""
    with plain_node() as made:
        if made.isolation() == "none":
            pytest.skip("ordinary users cannot make user namespaces here")
        yield made


def test_a_job_reaches_nothing_of_the_node_that_runs_it_nor_of_other_jobs(node: PlainNode) -> None:
    other = node.place("/bin/sh", "-c", "SECRET=another-s-secret exec sleep 100")
    node.api.wait(lambda: a_key(other) in node.api.specs)
    assert node.look() == "[]"
    node.api.cancel(a_key(other), 0.0)
    node.api.report(a_key(other), timeout=60)


def test_a_job_has_no_privilege_and_can_get_none(node: PlainNode) -> None:
    told = dict(line.split(":") for line in node.run("/bin/cat", "/proc/self/status").splitlines() if ":" in line[:20])
    assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == 0
    assert told["NoNewPrivs"].strip() == "1"
    assert (
        node.run("/bin/sh", "-c", "unshare -Ur true || mount -t tmpfs x /mnt || umount /tmp || echo refused")
        == "refused"
    )


def test_what_a_job_leaves_is_gone_for_the_next_one(node: PlainNode) -> None:
    node.run("/bin/sh", "-c", "touch /tmp/left /var/tmp/left /dev/shm/left; ipcmk -M 4096")
    look = "ls /tmp /var/tmp /dev/shm | grep -c left; ipcs -m | grep -c 0x"
    assert node.run("/bin/sh", "-c", f"{look}; true").split() == ["0", "0"]


def test_a_job_that_kills_all_it_can_kills_itself_alone(node: PlainNode) -> None:
    number = node.place(PYTHON, "-c", "import os; os.kill(-1, 9)")
    node.api.report(a_key(number), timeout=60)
    assert node.run("/bin/echo", "on") == "on"
    assert node.process.poll() is None


def test_where_jobs_cannot_be_kept_apart_the_node_says_so_and_serves_one_project() -> None:
    with plain_node(tree="scan") as node:  # trees that show a job all processes of its user
        assert node.isolation() == "none"
        assert node.api.registers[-1].labels["serves"] == "default"
        assert "serves the project 'default' only" in node.log.read_text()
    with plain_node(tree="scan", projects=["*"]) as node:
        assert node.isolation() == "none"
        assert "serves" not in node.api.registers[-1].labels
