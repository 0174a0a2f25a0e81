"""One run: its identity, its start, its use of resources, and its one `ended` event. `termination` says how it is stopped."""

import os
import resource
from typing import Any, Final, NamedTuple, TypeAlias

from workers.supervisor import disk_usage
from workers.supervisor.confining.cells import Cell
from workers.supervisor.disk_usage import DiskUsage
from workers.supervisor.output_pipes import RunOutput
from workers.supervisor.reasons import EndReason
from workers.supervisor.runs.termination import Termination
from workers.supervisor.trees import Tree, TreeUsage

_BLOCK_BYTES: Final = 512  # unit of the kernel's block counts in rusage
_NEVER: Final = float("inf")

RunEvent: TypeAlias = dict[str, Any]


class MainEnd(NamedTuple):
    """How the main process ended. Without `rusage` nobody saw it, and `status` says nothing."""

    status: int
    rusage: resource.struct_rusage | None
    wall: float


class Run:
    """One run, from its start to its end: the process tree of one phase. `main_end` is None until main is reaped."""

    __slots__ = (
        "cell",
        "disk_usage",
        "has_checks",
        "main_end",
        "output",
        "phase",
        "pid",
        "queued_at",
        "started",
        "started_wall",
        "termination",
        "tree",
    )

    def __init__(self, tree: Tree, phase: str, pid: int | None, *, now: float, boot: float, wall: float) -> None:
        self.tree = tree
        self.phase = phase
        self.pid = pid
        self.started = now
        self.started_wall = wall
        self.termination = Termination(tree, boot=boot)
        self.main_end: MainEnd | None = None
        self.queued_at = _NEVER  # for the run table's list of due times
        self.output: RunOutput | None = None
        self.cell: Cell | None = None
        self.disk_usage: DiskUsage | None = None
        self.has_checks = False

    @property
    def key(self) -> tuple[str, str]:
        """Tree and phase."""
        return self.tree.name, self.phase

    def limit_time(self, timeout_s: float | None, grace_s: float, lease_s: float | None) -> None:
        """Set the limits that count from the start."""
        self.termination.limit_time(None if timeout_s is None else self.started + timeout_s, grace_s, lease_s)

    def main_ended(self, status: int, rusage: resource.struct_rusage, wall: float) -> None:
        """The main process was reaped."""
        self.main_end = MainEnd(status, rusage, wall)

    def take_over(self, wall: float) -> None:
        """An earlier supervisor had left this tree: kill it. How its main process ended can no longer be learned."""
        self.main_end = MainEnd(0, None, wall)
        self.termination.stop(EndReason.SUPERVISOR_LOST, 0.0, self.started)

    def check_disk(self, now: float) -> None:
        """Kill the tree without grace if it holds more disk than it may."""
        if self.disk_usage is not None and self.disk_usage.is_over:
            self.termination.stop(EndReason.DISK_FULL, 0.0, now)

    def act(self, now: float) -> bool:
        """Do what its termination has due. Returns whether the run is over: main process reaped, tree empty."""
        return self.termination.act(now, reaped=self.main_end is not None)

    def close(self) -> None:
        """The run is over: end its checks."""
        if self.disk_usage is not None:
            self.disk_usage.closed = True

    def end_event(self, now: float) -> RunEvent:
        """Return the `ended` event. Call this once, when `act` has said that it is over and before the tree is removed."""
        status, rusage, ended = self.main_end or MainEnd(0, None, self.started_wall)
        signalled = rusage is not None and os.WIFSIGNALED(status)
        reason, message = self.termination.reason or EndReason.EXIT, None
        disk = self.disk_usage
        if reason == EndReason.DISK_FULL and disk is not None:
            held, most = _mib(disk.used), _mib(disk.limit or 0)
            message = f"It held {held} MiB of disk or more, and had asked for {most} MiB."
        elif reason == EndReason.EXIT and rusage is not None and status and disk and disk_usage.is_full(disk.folder):
            reason, message = EndReason.DISK_FULL, "The node's disk was full when it failed."
        kept = {"output": self.output.kept()} if self.output is not None and self.output.is_kept else {}
        return ended_event(
            self.key,
            reason,
            **kept,
            message=message,
            pid=self.pid,
            exit_code=os.WEXITSTATUS(status) if rusage is not None and not signalled else None,
            signal=os.WTERMSIG(status) if signalled else None,
            oom=self.tree.oom_kills() > 0,
            seconds=round(now - self.started, 6),
            started=self.started_wall,
            ended=ended,
            usage=_usage(self.tree.usage(), rusage, disk),
        )


def ended_event(key: tuple[str, str], reason: str, **known: object) -> RunEvent:
    """Return an `ended` event. Fields that are not known are null."""
    nothing: RunEvent = {"pid": None, "exit_code": None, "signal": None, "reason": reason, "oom": False}
    nothing |= {"seconds": 0.0, "started": None, "ended": None, "usage": None, "message": None, "errno": None}
    return {"ev": "ended", "tree": key[0], "phase": key[1]} | nothing | known


def _usage(
    tree: TreeUsage, main: resource.struct_rusage | None, disk: DiskUsage | None
) -> dict[str, float | int | None]:
    """Merge what the tree counted with what the kernel added up for main and the processes it waited for."""
    cpu_s, peak = tree.cpu_s, tree.peak_mem_mib
    peak_disk = None if disk is None or disk.peak is None else round(disk.peak / (1 << 20), 3)
    if main is None:
        return {
            "cpu_s": cpu_s, "peak_mem_mib": peak, "peak_disk_mib": peak_disk, "read_bytes": None, "written_bytes": None,
        }  # fmt: skip
    return {
        "cpu_s": round(main.ru_utime + main.ru_stime if cpu_s is None else cpu_s, 6),
        "peak_mem_mib": round(main.ru_maxrss / 1024 if peak is None else peak, 3),
        "peak_disk_mib": peak_disk,
        "read_bytes": main.ru_inblock * _BLOCK_BYTES,
        "written_bytes": main.ru_oublock * _BLOCK_BYTES,
    }


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}".removesuffix(".0")
