"""Whether a machine, or the control group a node was put into, is short of processes: read from files as the kernel has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.machine import probe
from workers.settings import NodeSettings


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with room for 30,000 processes, of which 100 run, and a node in one group of each version."""
    for name, text in {
        "proc/loadavg": "0.1 0.2 0.3 1/100 4711\n",
        "proc/sys/kernel/pid_max": "32768\n",
        "proc/sys/kernel/threads-max": "30000\n",
        "proc/self/cgroup": "3:cpu,cpuacct:/other\n2:pids:/old\n0::/new/er\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(probe, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(probe, "_CGROUP", tmp_path / "cgroup")
    return tmp_path


def trouble(machine: Path) -> str | None:
    settings = NodeSettings(name="n", api_url="http://x", token="t", node_dir=machine, min_free_disk=0)
    return probe.trouble(settings, str(machine))


@pytest.mark.parametrize(("running", "short"), [(29_400, False), (29_401, True)])
def test_the_machine_keeps_the_last_fiftieth_of_its_process_ids(machine: Path, running: int, short: bool) -> None:
    (machine / "proc/loadavg").write_text(f"0.1 0.2 0.3 1/{running} 4711\n")
    assert trouble(machine) == (f"{running} of 30000 process ids of this machine are in use" if short else None)


@pytest.mark.parametrize("group", ["pids/old", "new/er"])
@pytest.mark.parametrize(("most", "running", "short"), [("max", 900, False), ("1000", 968, False), ("1000", 969, True)])
def test_so_does_a_control_group_of_either_version(
    machine: Path, group: str, most: str, running: int, short: bool
) -> None:
    folder = machine / "cgroup" / group
    folder.mkdir(parents=True)
    (folder / "pids.max").write_text(f"{most}\n")
    (folder / "pids.current").write_text(f"{running}\n")
    assert trouble(machine) == (f"{running} of {most} processes that the node may have are in use" if short else None)


def test_a_machine_that_tells_nothing_is_in_no_trouble(machine: Path) -> None:
    (machine / "proc/self/cgroup").unlink()
    (machine / "proc/loadavg").write_text("")
    assert trouble(machine) is None
