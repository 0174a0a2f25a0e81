"""The files of version 2 trees, against a folder that looks like a cgroup: no machine of ours has its controllers."""

import os
import shutil
from pathlib import Path

import pytest

from workers.supervisor.trees import TreeLimits, cgroup2
from workers.supervisor.trees.hierarchy import CgroupHierarchy

FILES = {
    "cgroup.procs": "", "cgroup.events": "populated 0\nfrozen 0\n", "cgroup.controllers": "cpu io memory pids\n",
    "cgroup.subtree_control": "", "cgroup.kill": "", "cpu.max": "max 100000", "cpu.weight": "100",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n", "memory.max": "max", "memory.swap.max": "max",
    "memory.oom.group": "0", "memory.peak": "67108864\n", "pids.max": "max",
    "memory.events": "low 0\nhigh 0\nmax 4\noom 2\noom_kill 2\noom_group_kill 1\n",
}  # fmt: skip


class FolderHierarchy(CgroupHierarchy):
    """Folders made with the files that the kernel would put there, of which `absent` are left out."""

    absent: frozenset[str] = frozenset()

    def make(self, name: str) -> None:
        Path(self.path(name)).mkdir(parents=True, exist_ok=True)
        for file, text in FILES.items():
            if file not in self.absent:
                Path(self.path(name, file)).write_text(text)

    def prune(self, name: str) -> bool:
        shutil.rmtree(self.path(name))
        return True


class BusyHierarchy(FolderHierarchy):
    """Hands down controllers only while it has no processes, as the kernel does."""

    def write(self, name: str, file: str, text: str) -> None:
        if file == "cgroup.subtree_control" and name == "" and self.read("", "cgroup.procs").strip():
            raise OSError(16, "Device or resource busy")
        super().write(name, file, text)
        if file == "cgroup.procs":
            left = [pid for pid in self.read("", "cgroup.procs").split() if pid != text]
            Path(self.path("", "cgroup.procs")).write_text("\n".join(left))


@pytest.fixture
def hierarchy(tmp_path: Path) -> FolderHierarchy:
    made = FolderHierarchy(str(tmp_path / "ganger-node"))
    made.make("")
    return made


def content(hierarchy: CgroupHierarchy, file: str) -> str:
    return hierarchy.read("1.1", file)


def test_limits_are_written_in_the_kernels_units(hierarchy: FolderHierarchy) -> None:
    cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits(cpus=1500, mem=64_000, pids=7))
    assert content(hierarchy, "cpu.max").startswith("150000 100000")
    assert content(hierarchy, "cpu.weight") == "150"
    assert content(hierarchy, "memory.max") == str(64 << 20)
    assert content(hierarchy, "memory.swap.max").startswith("0")
    assert content(hierarchy, "memory.oom.group") == "1"
    assert content(hierarchy, "pids.max").startswith("7")


def test_the_cpu_quota_is_lifted_while_a_program_is_started_and_while_it_is_killed(hierarchy: FolderHierarchy) -> None:
    tree = cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits(cpus=1500))
    with tree.entered():
        assert content(hierarchy, "cpu.max").startswith("max ")
    assert content(hierarchy, "cpu.max").startswith("150000 ")
    tree.kill()
    assert content(hierarchy, "cpu.max").startswith("max ")


def test_tiny_and_huge_cpu_limits_stay_within_what_the_kernel_takes(hierarchy: FolderHierarchy) -> None:
    kind = cgroup2.Cgroup2(hierarchy)
    kind.create("1.1", TreeLimits(cpus=1))
    assert content(hierarchy, "cpu.max").startswith("1000 ")
    assert content(hierarchy, "cpu.weight").startswith("1")
    kind.create("1.1", TreeLimits(cpus=500_000))
    assert content(hierarchy, "cpu.weight") == "10000"


def test_no_limit_is_left_as_the_kernel_made_it(hierarchy: FolderHierarchy) -> None:
    cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits())
    assert [content(hierarchy, file) for file in ("cpu.max", "memory.max", "pids.max")] == ["max 100000", "max", "max"]


def test_usage_and_lack_of_memory_are_read_from_the_kernels_counters(hierarchy: FolderHierarchy) -> None:
    tree = cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits())
    assert tree.usage() == (1.5, 64.0)
    assert tree.oom_kills() == 2


def test_a_tree_is_empty_when_the_kernel_says_that_nothing_populates_it(hierarchy: FolderHierarchy) -> None:
    tree = cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits())
    assert tree.is_empty()
    Path(hierarchy.path("1.1", "cgroup.events")).write_text("populated 1\nfrozen 0\n")
    assert not tree.is_empty()


def test_killing_is_one_write(hierarchy: FolderHierarchy) -> None:
    cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits()).kill()
    assert content(hierarchy, "cgroup.kill") == "1"


def test_a_kernel_without_cgroup_kill_freezes_instead(hierarchy: FolderHierarchy) -> None:
    hierarchy.absent = frozenset({"cgroup.kill"})
    tree = cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits())
    Path(hierarchy.path("1.1", "cgroup.freeze")).write_text("0")
    tree.kill()
    assert content(hierarchy, "cgroup.freeze") == "1"


def test_a_listed_process_that_is_elsewhere_now_is_not_signalled(hierarchy: FolderHierarchy) -> None:
    tree = cgroup2.Cgroup2(hierarchy).create("1.1", TreeLimits())
    Path(hierarchy.path("1.1", "cgroup.procs")).write_text(f"{os.getppid()}\n")
    tree.signal(0)  # nothing would come of it anyway; what counts is that 15 below does not arrive either
    tree.signal(15)
    assert tree.pids() == [os.getppid()]


def test_each_controller_that_is_not_handed_down_is_named_once(hierarchy: FolderHierarchy) -> None:
    Path(hierarchy.path("", "cgroup.controllers")).write_text("pids\n")
    kind = cgroup2.Cgroup2(hierarchy)
    assert kind.controllers == {"pids"}
    assert [text.split(" ", 1)[0] for text in kind.missing] == ["Memory", "Cpus"]


def test_leftovers_are_the_folders_that_are_there(hierarchy: FolderHierarchy) -> None:
    hierarchy.make("5.1")
    hierarchy.make("6.2")
    assert [tree.name for tree in cgroup2.Cgroup2(hierarchy).leftovers()] == ["5.1", "6.2"]


def test_our_own_processes_make_room_so_that_controllers_can_be_handed_down(tmp_path: Path) -> None:
    home = BusyHierarchy(str(tmp_path / "service"))
    home.make("")
    Path(home.path("", "cgroup.procs")).write_text("11\n12\n")
    leaf = FolderHierarchy(home.folder)
    leaf.make(cgroup2.LEAF)
    cgroup2.make_room(home)
    assert home.read("", "cgroup.procs") == ""
    assert home.read("", "cgroup.subtree_control").startswith("+pids")


@pytest.mark.parametrize(
    ("mine", "home"),
    [("/", ""), ("/a.service", "/a.service"), (f"/a.service/{cgroup2.LEAF}", "/a.service"), ("/of/the/host", "")],
)
def test_the_nodes_folder_goes_beside_the_leaf_that_our_processes_are_in(tmp_path: Path, mine: str, home: str) -> None:
    (tmp_path / "a.service").mkdir()
    assert cgroup2.home_folder(str(tmp_path), mine) == f"{tmp_path}{home}"
