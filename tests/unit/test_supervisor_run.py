"""When a phase is asked to end, when it is killed, when it is over, and what is said of it."""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator

from workers.supervisor.confining.cells import Cell
from workers.supervisor.runs.run import Run
from workers.supervisor.trees import TreeUsage

RUSAGE = resource.getrusage(resource.RUSAGE_CHILDREN)


class RecordingTree:
    """A tree of which the test decides whether it is empty, and which remembers what was done to it."""

    name = "7.2"
    clone_into = None
    takes_threads = True

    def __init__(self) -> None:
        self.empty = False
        self.done: list[str] = []
        self.ooms = 0

    @contextlib.contextmanager
    def entered(self, cell: Cell | None = None) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        yield

    def step_out(self) -> None:
        self.done.append("step out")

    def born(self, pid: int) -> None:
        self.done.append(f"born {pid}")

    def signal(self, signum: int) -> None:
        self.done.append(signal.Signals(signum).name)

    def kill(self) -> None:
        self.done.append("kill")

    def is_empty(self) -> bool:
        return self.empty

    def pids(self) -> list[int]:
        return []

    def usage(self) -> TreeUsage:
        return TreeUsage(cpu_s=1.25, peak_mem_mib=None)

    def held_mem_mib(self) -> float | None:
        return None

    def oom_kills(self) -> int:
        return self.ooms

    def remove(self) -> None:
        self.done.append("remove")


def a_run(
    *, timeout_s: float | None = None, grace_s: float = 5, lease_s: float | None = None
) -> tuple[Run, RecordingTree]:
    tree = RecordingTree()
    made = Run(tree, "job", 42, now=100.0, boot=500.0, wall=1e9)
    made.limit_time(timeout_s, grace_s, lease_s)
    return made, tree


def exit_main(made: Run, status: int = 0) -> None:
    made.main_ended(status, RUSAGE, 1e9 + 1)


def test_it_is_over_when_main_is_reaped_and_the_tree_empty() -> None:
    made, tree = a_run()
    assert not made.act(101)
    tree.empty = True
    assert not made.act(101), "main was not reaped"
    exit_main(made, 3 << 8)
    assert made.act(102)
    ended = made.end_event(102)
    assert (ended["reason"], ended["exit_code"], ended["signal"], ended["seconds"]) == ("exit", 3, None, 2.0)
    assert ended["usage"]["cpu_s"] == 1.25


def test_what_main_leaves_is_killed_at_once_and_looked_at_again_and_again() -> None:
    made, tree = a_run()
    exit_main(made)
    assert not made.act(101)
    assert tree.done == ["kill"]
    assert 101 < made.termination.due < 101.01
    assert not made.act(made.termination.due)
    tree.empty = True
    assert made.act(made.termination.due)
    assert made.end_event(102)["reason"] == "exit"


def test_a_timeout_asks_first_and_kills_after_the_grace() -> None:
    made, tree = a_run(timeout_s=10, grace_s=5)
    assert made.termination.due == 110
    made.act(109.9)
    assert tree.done == []
    made.act(110)
    assert tree.done == ["SIGTERM", "SIGCONT"]
    assert made.termination.due == 115
    made.act(115)
    assert tree.done[2:] == ["kill"]
    exit_main(made, signal.SIGKILL)
    tree.empty = True
    assert made.act(115.1)
    assert (made.end_event(115.1)["reason"], made.end_event(115.1)["signal"]) == ("timeout", signal.SIGKILL)


def test_others_keep_their_grace_when_main_obeys() -> None:
    made, tree = a_run()
    made.termination.stop("killed:cancel", 5, 101)
    exit_main(made)
    made.act(102)
    assert "kill" not in tree.done
    made.act(106)
    assert tree.done[-1] == "kill"


def test_the_first_reason_stays_and_grace_only_shrinks() -> None:
    made, tree = a_run(timeout_s=10)
    made.termination.stop("killed:cancel", 5, 101)
    made.termination.stop("killed:drain", 60, 101)
    assert made.termination.due == 106
    made.termination.stop("killed:drain", 1, 101)
    assert made.termination.due == 102
    made.act(120)
    assert tree.done == ["SIGTERM", "SIGCONT", "kill"]
    exit_main(made)
    tree.empty = True
    assert made.act(121)
    assert made.end_event(121)["reason"] == "killed:cancel"


def test_without_grace_nobody_is_asked() -> None:
    made, tree = a_run()
    made.termination.stop("killed:cancel", 0, 101)
    made.act(101)
    assert tree.done == ["kill"]


def test_a_fence_falls_at_two_thirds_of_the_lease_after_the_last_heartbeat() -> None:
    made, tree = a_run(lease_s=90)
    made.termination.fence(510.0, 569.9, 101)
    assert made.termination.due == float("inf")
    made.termination.fence(510.0, 570.0, 101)
    made.act(101)
    assert tree.done == ["kill"]
    exit_main(made)
    tree.empty = True
    made.act(102)
    assert made.end_event(102)["reason"] == "fenced"


def test_before_the_first_heartbeat_the_lease_counts_from_the_start() -> None:
    made, _ = a_run(lease_s=90)
    made.termination.fence(None, 559.9, 101)
    assert made.termination.reason is None
    made.termination.fence(None, 560.0, 101)
    assert made.termination.reason == "fenced"


def test_lack_of_memory_is_flagged_even_where_main_ended_well() -> None:
    made, tree = a_run()
    tree.empty, tree.ooms = True, 1
    exit_main(made)
    assert made.act(101)
    ended = made.end_event(101)
    assert (ended["oom"], ended["exit_code"]) == (True, 0)


def test_what_cannot_be_killed_is_told_once() -> None:
    made, _ = a_run()
    made.termination.stop("killed:cancel", 0, 101)
    made.act(101)
    assert [made.termination.is_stuck(now) for now in (102, 106, 107)] == [False, True, False]


def test_a_leftover_is_killed_and_its_exit_is_unknown() -> None:
    made, tree = a_run()
    made.take_over(1e9)
    made.act(100)
    assert tree.done == ["kill"]
    tree.empty = True
    assert made.act(101)
    ended = made.end_event(101)
    assert (ended["reason"], ended["exit_code"], ended["signal"]) == ("supervisor_lost", None, None)
    assert os.WIFEXITED(0)
