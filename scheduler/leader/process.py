"""The scheduler as a process: it tries to lead; while it leads, it ticks, maintains, scales, samples and checks.

Any number of such processes may run. One leads; the others wait for its session to end, or for its counter to stand
still. Each duty has a loop, and so a thread, of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from scheduler.identifiers import NodeId
from scheduler.leader import load_samples, maintenance
from scheduler.leader.dispatch import Dispatcher
from scheduler.leader.invariants import ViolationCounts
from scheduler.leader.leadership import Leadership
from scheduler.leader.report import LeaderReport
from scheduler.leader.tick_loop import TickLoop
from scheduler.leader.upkeep import LeaderMaintenance
from scheduler.leader.waits import WAITS_EVERY_S, WaitRecorder
from scheduler.loop import Loop
from scheduler.nodes import broker_users as broker_user_list
from scheduler.nodes.broker_users import BrokerUsers
from scheduler.pools import driver_setup
from scheduler.pools.autoscaler import Autoscaler
from scheduler.pools.drivers.registry import DriverRegistry
from scheduler.resolver import expiry, resolver
from scheduler.retention.sweep import Sweep
from scheduler.runtime import Runtime
from scheduler.schedules import firing
from scheduler.store.leader import wake
from scheduler.workflows import upkeep

_CHECKED_HOURS = 0.25
"""History is checked this far back at least: a check that fell out is made up for."""
_NEVER_S = 3600.0
_SWEPT_EVERY_S = 60.0
_WORKFLOWS_EVERY_S = 2.0


class SchedulerProcess:
    """One scheduler process's loops. `start()` returns at once; `stop()` gives the lead away."""

    def __init__(
        self,
        rt: Runtime,
        dispatcher: Dispatcher,
        monotonic: Callable[[], float] = time.monotonic,
        registry: DriverRegistry | None = None,
        broker_users: BrokerUsers | None = None,
    ) -> None:
        self._rt, self._dispatcher, self._monotonic = rt, dispatcher, monotonic
        self._violations = ViolationCounts()
        self._leadership = Leadership(rt, monotonic)
        self._report = LeaderReport(rt, self._violations.found)
        self._tick_loop = TickLoop(rt, self._leadership, self._report, dispatcher.deliver, monotonic)
        self._autoscaler = Autoscaler(
            rt, registry or driver_setup.registry_from_settings(rt), self._tick_loop.lend, monotonic
        )
        self._waits = WaitRecorder()
        self._kept_nodes: set[NodeId] = set()  # nodes that have left, and whose rows executions refer to
        self._stopped = threading.Event()
        steps = {
            "listen": self._listen,
            "lead": self._lead,
            "upkeep": LeaderMaintenance(rt, self._leads, self._tick_loop.rest, monotonic).step,
            "tick": self._tick_loop.turn,
            "checking": self._check,
            "sweeping": self._sweep,
            "workflows": self._keep_workflows,
            "sampling": self._sample,
            "waits": self._record_waits,
            "scaling": self._scale,
            "schedules": self._fire,
            "purging": Sweep(rt, self._leads, monotonic).step,
            "broker users": lambda: broker_user_list.keep(rt, broker_users, self._leads),
        }
        self._loops = {name: Loop(name, step) for name, step in steps.items()}

    def start(self) -> None:
        """Begin all loops."""
        for loop in self._loops.values():
            loop.start()

    def stop(self) -> None:
        """End all loops and give the lead away, so that another process takes over at once."""
        self._stopped.set()
        self._tick_loop.stopped.set()
        for loop in reversed(self._loops.values()):
            loop.stop()
        self._leadership.step_down(self._leadership.term, "stopping")

    def _leads(self) -> bool:
        return self._leadership.term is not None

    def _lead(self) -> float:
        """Take the lead when it is free, or give a sign of life while holding it: never waits for a tick."""
        longest, term = self._rt.settings.leader_s / 4, self._leadership.term
        pause = min(1.0, longest)
        if term is not None:
            self._leadership.renew(term, self._report.status)
            return min(self._tick_loop.rest.pause("lead", pause), longest)
        term = self._leadership.take()
        if term is not None:
            self._tick_loop.begin(term)
            self._loops["tick"].wake()
            self._loops["sampling"].wake()
        return pause

    def _fire(self) -> float:
        return firing.step(self._rt) if self._leads() else firing.LONGEST_S

    def _scale(self) -> float:
        term, is_scaled = self._leadership.term, False
        if term is None:
            self._autoscaler.forget()
            self._kept_nodes.clear()
        else:
            is_scaled = self._autoscaler.step(term)
            with self._tick_loop.lend() as state:
                placeable = {node.id for node in state.nodes}
            maintenance.delete_departed_nodes(self._rt, self._kept_nodes, placeable)
        return self._tick_loop.rest.pause("scaling", self._rt.settings.scaling_s, watches_nodes=is_scaled)

    def _sample(self) -> float:
        term = self._leadership.term
        if term is not None:
            load_samples.sample(self._rt, term)
        return self._rt.settings.sample_s

    def _record_waits(self) -> float:
        term = self._leadership.term
        self._waits.record(self._rt, term, self._report.waits)
        return self._tick_loop.rest.pause("waits", WAITS_EVERY_S)

    def _check(self) -> float:
        every = self._rt.settings.check_s
        if self._leadership.term is not None and every:
            self._violations.check(self._rt, hours=max(2 * every / 3600, _CHECKED_HOURS))
        return every or _NEVER_S

    def _sweep(self) -> float:
        """Look for jobs that the resolver has overlooked; a new leader takes its time, for the tick comes first."""
        if self._leadership.term is not None:
            resolver.sweep(self._rt)
        return _SWEPT_EVERY_S

    def _keep_workflows(self) -> float:
        if self._leadership.term is not None:
            upkeep.turn(self._rt)
            expiry.expire(self._rt)
        return self._tick_loop.rest.pause("workflows", _WORKFLOWS_EVERY_S)

    def _listen(self) -> float:
        """Receive wake-ups from the database until stopped; they only make things quicker, polling goes on."""
        wake.listen(self._rt.db.url, self._receive, lambda: not self._stopped.is_set())
        return 0.0

    def _receive(self, topic: str) -> None:
        if topic in {"tick", "scaling", "purging", "schedules"}:
            for name in {topic, *self._tick_loop.rest.over()}:  # the rest ends before the tick begins that ends its end
                self._loops[name].wake()
        elif topic.startswith("node:"):
            self._dispatcher.ring(topic.removeprefix("node:"))
