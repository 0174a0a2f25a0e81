"""The loop of ticks: while this process leads, it keeps the cluster state up to date and places what can be placed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scheduler.cluster_state import ClusterState
from scheduler.events import TICK
from scheduler.identifiers import Term
from scheduler.leader import rest
from scheduler.leader.dispatch import DispatchBatch
from scheduler.leader.leadership import Leadership
from scheduler.leader.report import LeaderReport
from scheduler.leader.rest import LeaderRest, TickPace
from scheduler.leader.tick import TermOver, TickResult, tick
from scheduler.log import log
from scheduler.resolver import resolver
from scheduler.runtime import Runtime


class TickLoop:
    """The cluster state of the leader and its ticks. `stopped` ends a pause early."""

    def __init__(
        self,
        rt: Runtime,
        leadership: Leadership,
        report: LeaderReport,
        deliver: Callable[[DispatchBatch], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._rt, self._leadership, self._report = rt, leadership, report
        self._deliver, self._monotonic = deliver, monotonic
        self.stopped = threading.Event()
        self._state = ClusterState(rt.settings)
        self._state_lock = threading.Lock()
        self._pace = TickPace()
        self.rest = LeaderRest(rt.settings, lambda: leadership.term is not None and self.is_idle)

    @contextmanager
    def lend(self) -> Iterator[ClusterState]:
        """Lend the cluster state: it is used by one thread at a time, and no tick begins meanwhile."""
        with self._state_lock:
            yield self._state

    @property
    def is_idle(self) -> bool:
        """Whether nothing waited and nothing ran when the last tick looked."""
        return len(self._state.queue) == 0 and len(self._state.running) == 0

    def begin(self, term: Term) -> None:
        """Lead under this term from now on, and read the cluster state anew."""
        with self._state_lock:
            self._state = ClusterState(self._rt.settings)
            self._report.begin()
            self._leadership.begin(term)

    def turn(self) -> float:
        """Make a tick if this process leads; return the seconds until the next one."""
        term = self._leadership.term
        if term is None:
            return self._rt.settings.tick_poll_s
        self.stopped.wait(self._pace.owed_s(self._monotonic()))
        began, looked = self._monotonic(), self.rest.looking()
        with self._state_lock:
            try:
                left: list[bool] = []
                result = tick(
                    self._rt, self._state, term, self._deliver, lambda: left.append(resolver.resolve(self._rt, term))
                )
                ended = self._monotonic()
                self._report.update(self._state, result, ended - began, ended)
            except TermOver:
                self._leadership.lose(term)
                return self._rt.settings.tick_poll_s
            except Exception:
                self._state = ClusterState(self._rt.settings)
                raise
        looked()
        self._pace.spend(began, ended)
        self._report.count(result)
        if result.placed:
            log.info(TICK, placed=result.placed, lost=result.lost, ms=round((ended - began) * 1000, 1))
        return 0.0 if any(left) else self._until_next(result, ended - began)

    def _until_next(self, result: TickResult, tick_s: float) -> float:
        """Return the seconds until there may be something to place: none if this tick stopped at its limit."""
        if result.placed >= self._rt.settings.tick_limit:
            return 0.0
        poll = rest.pause_s(self._rt.settings.tick_poll_s, self._rt.settings, is_idle=self.is_idle)
        due = self._state.queue.next_due()
        return poll if due is None else min(poll, max(0.0, due - self._state.now - tick_s))
