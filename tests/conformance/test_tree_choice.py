"""Which kind of tree a supervisor takes, and that trying one out leaves the supervisor where it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import workers
from tests.support import supervised
from tests.support.supervised import STRANGER
from workers.supervisor.confining.cells import Cell
from workers.supervisor.trees import StrandedError, TreeLimits, choice, hierarchy, scan, self_test

SOURCE = Path(workers.__file__).parents[1]


class Stranding(scan.TreeScan):
    """Trees that nobody gets out of."""

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> scan.ScanTree:
        raise StrandedError(f"no way out of {name}")


class Deadly(scan.TreeScan):
    """Trees that kill who makes them."""

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> scan.ScanTree:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().create(name, limits, cell)


class Displacing(scan.TreeScan):
    """Trees that one leaves for another place than that one came from."""

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> scan.ScanTree:
        os.chroot("/usr/..")
        os.chroot("/usr")
        return super().create(name, limits, cell)


def test_a_kind_that_holds_a_program_gets_through_its_trial() -> None:
    assert self_test.refusal(scan.TreeScan("nobody")) == ""


def test_a_kind_that_strands_or_kills_those_who_try_it_is_refused_and_harms_nobody_else() -> None:
    before = os.getpid(), Path("/").stat()
    assert self_test.refusal(Stranding("nobody")) == "no way out of trial"
    assert self_test.refusal(Deadly("nobody")) == "it did not get through its trial"
    if os.geteuid() == 0:
        assert self_test.refusal(Displacing("nobody"))
    assert (os.getpid(), Path("/").stat()) == before


def test_where_there_are_no_cgroups_the_next_best_is_taken_and_each_better_kind_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hierarchy, "mounts", list)
    told: list[str] = []
    kind = choice.choose("nobody", None, told.append)
    assert kind.name in {"pidns", "scan"}
    better = choice.NAMES[: choice.NAMES.index(kind.name)]
    assert [line.partition(": ")[0] for line in told] == [f"trees are not held by {name}" for name in better]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_plain_user_whom_everything_better_is_refused_still_gets_programs_started() -> None:
    with supervised.stage(None, STRANGER) as stage:
        ended = stage.do(stage.play().command(["true"]))
    assert ended["exit_code"] == 0


# Runs a supervisor whose root directory is not its mount namespace's; its folder exists only in the former.
_IN_A_CHROOT = """
set -e
mount --make-rprivate /
mount --rbind / "$1/root"
mount -t tmpfs none "$1/root/mnt"
exec chroot "$1/root" "$2" -c '
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workers.agent.supervisor_client.client import SupervisorClient
ground = Path("/mnt/ground"); ground.mkdir()
with SupervisorClient(ground / "node", python=sys.executable, tree="pidns") as client:
    client.ask("start", runs=[{
        "tree": "1.1", "phase": "job", "argv": ["sh", "-c", "ls /mnt; echo /proc/[0-9]*"], "env": {"PATH": "/usr/bin:/bin"},
        "cwd": "/", "stdout": str(ground / "out"), "stderr": str(ground / "err"),
    }])
    ended = next(event for event in client.messages() if event["ev"] == "ended")
    client.shutdown(0)
    for _ in client.messages(): pass
print(ended["exit_code"], (ground / "out").read_text().split(), (ground / "err").read_text())
' "$3"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root directory")
def test_in_a_chroot_pid_namespaces_hold_programs_and_nothing_gets_out(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _IN_A_CHROOT, "sh", tmp_path, sys.executable, SOURCE],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "unshare:" in done.stderr or "mount:" in done.stderr or "chroot:" in done.stderr:
        pytest.skip(f"no mounts can be made here: {done.stderr}")
    words = done.stdout.split()
    assert words[:3] == ["0", "['ground',", "'/proc/1',"], done.stdout + done.stderr
    assert len(words) < 10, "the process table is not that of the inside"
