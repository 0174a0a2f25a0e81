r"""How a run is stopped (the termination of a process tree): when it is asked with SIGTERM, and when it is killed.

    RUNNING --timeout, stop, fence--> ASKED --grace over--> KILLING --main reaped, tree empty--> over
       \------------------ main ended by itself, others left ----/

A run is over when its main process is reaped and its tree is empty. When the main process ends by itself, the others
are killed at once. When it ends because it was asked to, the others have the rest of their grace. A killed tree is killed
again at growing intervals until it is empty. The first reason given stays the reason. Time comes in as `now`, on the
monotonic clock, except where a name says otherwise.
"""

import signal
from typing import Final

from workers.supervisor.limits import FENCE_SHARE
from workers.supervisor.reasons import EndReason
from workers.supervisor.trees import Tree

_FIRST_RECHECK_S: Final = 0.002  # a killed tree is mostly empty after 1 to 2 ms
_RECHECK_GROWTH: Final = 2
_LONGEST_RECHECK_S: Final = 0.1
_STUCK_AFTER_S: Final = 5.0  # killed for this long and still alive: the node has a problem
_NEVER: Final = float("inf")


class Termination:
    """Stops one tree. Call `act` whenever something may have changed, and at `due`. `reason` is None until it is stopped."""

    __slots__ = (
        "kill_at",
        "killing_since",
        "lease_from_boot",
        "lease_s",
        "reason",
        "recheck_at",
        "recheck_s",
        "stop_at",
        "stop_grace_s",
        "stuck_reported",
        "tree",
    )

    def __init__(self, tree: Tree, *, boot: float) -> None:
        self.tree = tree
        self.lease_s: float | None = None
        self.lease_from_boot = boot  # until a heartbeat is sent, the lease counts from the start
        self.stop_at = _NEVER
        self.stop_grace_s = 0.0
        self.kill_at = _NEVER
        self.killing_since: float | None = None
        self.recheck_at = _NEVER
        self.recheck_s = _FIRST_RECHECK_S
        self.reason: str | None = None
        self.stuck_reported = False

    @property
    def due(self) -> float:
        """The time at which `act` has something to do even if nothing else happens."""
        return min(self.stop_at, self.kill_at, self.recheck_at)

    @property
    def awaits_empty(self) -> bool:
        """Whether only the rest of the tree has to end: any process that is reaped may have been its last one."""
        return self.recheck_at < _NEVER

    def limit_time(self, stop_at: float | None, grace_s: float, lease_s: float | None) -> None:
        """Set the time of the timeout with its grace, and the lease; None for no limit."""
        self.stop_at = _NEVER if stop_at is None else stop_at
        self.stop_grace_s = grace_s
        self.lease_s = lease_s

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

    def fence(self, last_sent_boot: float | None, boot: float, now: float) -> None:
        """Kill the tree without grace when two thirds of the lease have passed since the last heartbeat was sent."""
        since = self.lease_from_boot if last_sent_boot is None else last_sent_boot
        if self.lease_s is not None and boot - since >= self.lease_s * FENCE_SHARE:
            self.stop(EndReason.FENCED, 0.0, now)

    def act(self, now: float, *, reaped: bool) -> bool:
        """Do what is due. `reaped` says whether the main process is. Returns whether the run is over."""
        if now >= self.stop_at:
            self.stop(EndReason.TIMEOUT, self.stop_grace_s, now)
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
