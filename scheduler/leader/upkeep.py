"""The leader's upkeep: silent nodes are noticed, jobs that come due are queued, late placements go back.

While nothing waits and nothing runs, only nodes and what comes due are looked at each turn; the rest is seldom needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scheduler.events import NODE_LOST, PLACEMENTS_WITHDRAWN
from scheduler.executions import withdrawal
from scheduler.leader import maintenance
from scheduler.leader.rest import LONGEST_S, LeaderRest
from scheduler.log import log
from scheduler.nodes.lost import SilentNodes, declare_lost
from scheduler.runtime import Runtime
from scheduler.uploads import sweep as uploads


class LeaderMaintenance:
    """One process's maintenance, while it leads: `step()` is one turn and returns the seconds until the next one."""

    def __init__(
        self, rt: Runtime, leads: Callable[[], bool], rest: LeaderRest, monotonic: Callable[[], float]
    ) -> None:
        self._rt, self._leads, self._rest, self._monotonic = rt, leads, rest, monotonic
        self._silences = SilentNodes()
        self._kept_up = self._due_at = -math.inf

    def step(self) -> float:
        """Look once at everything that is due."""
        if not self._leads():
            self._silences = SilentNodes()
            return self._rt.settings.upkeep_s
        for name in declare_lost(self._rt, self._silences, self._monotonic):
            log.warning(NODE_LOST, node=name)
        now, is_idle = self._monotonic(), self._rest.is_idle
        if not is_idle or now >= self._due_at:
            maintenance.ready_due(self._rt)
        if not is_idle or now >= self._kept_up + LONGEST_S:
            self._kept_up = now
            self._keep_up()
        return self._rest.pause("upkeep", self._rt.settings.upkeep_s, self._next_due_s, watches_nodes=True)

    def _next_due_s(self) -> float:
        due_s = maintenance.next_due_s(self._rt)
        self._due_at = self._monotonic() + due_s
        return due_s

    def _keep_up(self) -> None:
        maintenance.forgive_nodes(self._rt)
        uploads.sweep(self._rt)
        withdrawal.withdraw_recalled(self._rt)
        withdrawn = withdrawal.withdraw_late(self._rt)
        if withdrawn:
            log.warning(PLACEMENTS_WITHDRAWN, count=withdrawn)
