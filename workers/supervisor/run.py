r"""The life of one run: its limits in time, how it is killed, and its one end.

    RUNNING --timeout, kill, fence--> STOPPING --grace over--> KILLING --main reaped, tree empty--> over
       \------------------ main ended by itself, others left ----/

A run is over when its main process is reaped and its tree is empty. When the main process ends by itself, the others
are killed at once. When it ends because it was asked to, the others have the rest of their grace. The first reason given
stays the reason. Time comes in as `now`, on the monotonic clock, except where a name says otherwise.
"""

import os
import resource
import signal
from typing import Any, Final

from workers.supervisor import disk_usage
from workers.supervisor.disk_usage import DiskUsage
from workers.supervisor.limits import FENCE_SHARE
from workers.supervisor.output_cap import OutputCap
from workers.supervisor.reasons import EndReason
from workers.supervisor.trees import Tree, TreeUsage

_FIRST_RECHECK_S: Final = 0.002  # a killed tree is mostly empty after 1 to 2 ms
_RECHECK_GROWTH: Final = 2
_LONGEST_RECHECK_S: Final = 0.1
_STUCK_AFTER_S: Final = 5.0  # killed for this long and still alive: the node has a problem
_BLOCK_BYTES: Final = 512  # unit of the kernel's block counts in rusage
_NEVER: Final = float("inf")


class Run:
    """One run, from its start to its end. Call `act` whenever something may have changed, and at `due`."""

    __slots__ = (
        "disk_usage",
        "ended_wall",
        "folder",
        "has_checks",
        "kill_at",
        "killing_since",
        "lease_s",
        "output_cap",
        "phase",
        "pid",
        "queued_at",
        "reason",
        "recheck_at",
        "recheck_s",
        "rusage",
        "started",
        "started_boot",
        "started_wall",
        "status",
        "stop_at",
        "stop_grace_s",
        "stuck_reported",
        "tree",
    )  # fmt: skip

    def __init__(self, tree: Tree, phase: str, pid: int | None, *, now: float, boot: float, wall: float) -> None:
        self.tree = tree
        self.phase = phase
        self.pid = pid
        self.started = now
        self.started_boot = boot
        self.started_wall = wall
        self.ended_wall = wall
        self.lease_s: float | None = None
        self.stop_at = _NEVER
        self.stop_grace_s = 0.0
        self.kill_at = _NEVER
        self.killing_since: float | None = None
        self.recheck_at = _NEVER
        self.recheck_s = _FIRST_RECHECK_S
        self.queued_at = _NEVER  # for the supervisor's list of due times
        self.reason: str | None = None
        self.status: int | None = None
        self.rusage: resource.struct_rusage | None = None
        self.stuck_reported = False
        self.output_cap: OutputCap | None = None
        self.folder: str | None = None
        self.disk_usage: DiskUsage | None = None
        self.has_checks = False

    @property
    def key(self) -> tuple[str, str]:
        """Tree and phase."""
        return self.tree.name, self.phase

    @property
    def due(self) -> float:
        """The time at which `act` has something to do even if nothing else happens."""
        return min(self.stop_at, self.kill_at, self.recheck_at)

    def limit_time(self, timeout_s: float | None, grace_s: float, lease_s: float | None) -> None:
        """Set the limits that count from the start."""
        self.stop_at = _NEVER if timeout_s is None else self.started + timeout_s
        self.stop_grace_s = grace_s
        self.lease_s = lease_s

    def main_ended(self, status: int, rusage: resource.struct_rusage, wall: float) -> None:
        """The main process was reaped."""
        self.status, self.rusage, self.ended_wall = status, rusage, wall

    def take_over(self, wall: float) -> None:
        """An earlier supervisor had left this tree: kill it. How its main process ended can no longer be learned."""
        self.status, self.reason, self.ended_wall = 0, EndReason.SUPERVISOR_LOST, wall
        self.kill_at = self.started

    def stop(self, reason: str, grace_s: float, now: float) -> None:
        """Ask the tree to end, and kill it after the grace. May be repeated; a repeat can only shorten the grace.

        `reason` is an `EndReason`, or comes from `reasons.killed`.
        """
        first = self.kill_at == _NEVER and self.killing_since is None
        self.kill_at = min(self.kill_at, now + grace_s)
        self.stop_at = _NEVER
        if first:
            self.reason = self.reason or reason
            if grace_s > 0:
                self.tree.signal(signal.SIGTERM)
                self.tree.signal(signal.SIGCONT)  # a stopped process can't hear the first one

    def check_disk(self, now: float) -> None:
        """Kill the tree without grace if it holds more disk than it may."""
        if self.disk_usage is not None and self.disk_usage.is_over:
            self.stop(EndReason.DISK_FULL, 0.0, now)

    def fence(self, last_sent_boot: float | None, boot: float, now: float) -> None:
        """Kill the tree without grace when two thirds of the lease have passed since the last heartbeat was sent."""
        since = self.started_boot if last_sent_boot is None else last_sent_boot
        if self.lease_s is not None and boot - since >= self.lease_s * FENCE_SHARE:
            self.stop(EndReason.FENCED, 0.0, now)

    def act(self, now: float) -> bool:
        """Do what is due. Returns whether the run is over: main process reaped, tree empty."""
        if now >= self.stop_at:
            self.stop(EndReason.TIMEOUT, self.stop_grace_s, now)
        reaped = self.status is not None
        if reaped and self.tree.is_empty():
            return True
        if self.killing_since is None and (now >= self.kill_at or (reaped and self.kill_at == _NEVER)):
            self.killing_since = now
            self.kill_at = self.stop_at = _NEVER
        if self.killing_since is not None:
            self.tree.kill()
        if reaped or self.killing_since is not None:
            self.recheck_at = now + self.recheck_s
            self.recheck_s = min(self.recheck_s * _RECHECK_GROWTH, _LONGEST_RECHECK_S)
        return False

    def is_stuck(self, now: float) -> bool:
        """Whether killing has failed for long. True only once."""
        if self.killing_since is None or self.stuck_reported or now - self.killing_since < _STUCK_AFTER_S:
            return False
        self.stuck_reported = True
        return True

    def close(self) -> None:
        """The run is over: cap its output for the last time, and end its checks."""
        if self.output_cap is not None:
            self.output_cap.closed = True
            self.output_cap.check()
        if self.disk_usage is not None:
            self.disk_usage.closed = True

    def end_event(self, now: float) -> dict[str, Any]:
        """Return the `ended` event. Call this once, when `act` has said that it is over and before the tree is removed."""
        known = self.rusage is not None and self.status is not None
        signalled = known and os.WIFSIGNALED(self.status or 0)
        reason, message = self.reason or EndReason.EXIT, None
        if reason == EndReason.DISK_FULL and self.disk_usage is not None:
            held, most = _mib(self.disk_usage.used), _mib(self.disk_usage.limit or 0)
            message = f"It held {held} MiB of disk or more, and had asked for {most} MiB."
        elif reason == EndReason.EXIT and known and self.status and self.folder and disk_usage.is_full(self.folder):
            reason, message = EndReason.DISK_FULL, "The node's disk was full when it failed."
        return ended_event(
            self.key,
            reason,
            message=message,
            pid=self.pid,
            exit_code=os.WEXITSTATUS(self.status or 0) if known and not signalled else None,
            signal=os.WTERMSIG(self.status or 0) if signalled else None,
            oom=self.tree.oom_kills() > 0,
            seconds=round(now - self.started, 6),
            started=self.started_wall,
            ended=self.ended_wall,
            usage=_usage(self.tree.usage(), self.rusage, self.disk_usage),
        )


def ended_event(key: tuple[str, str], reason: str, **known: object) -> dict[str, Any]:
    """Return an `ended` event. Fields that are not known are null."""
    nothing: dict[str, Any] = {"pid": None, "exit_code": None, "signal": None, "reason": reason, "oom": False}
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
