"""The scheduler as a process: try to lead; while leading, tick, keep up, and beat.

Any number may run. One leads; the others wait for its session to end, or for its beat to stand still.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from scheduler.cluster_state import ClusterState
from scheduler.executions import withdrawal
from scheduler.explain.view import NO_NODES
from scheduler.leader import load_samples, maintenance
from scheduler.leader.dispatch import Dispatcher
from scheduler.leader.invariants import ViolationCounts
from scheduler.leader.tick import TermOver, TickResult, tick
from scheduler.log import log
from scheduler.loop import Loop
from scheduler.nodes.lost import Silences, declare_lost
from scheduler.pools import configured_drivers
from scheduler.pools.autoscaler import Autoscaler
from scheduler.pools.drivers.catalogue import DriverCatalogue
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.explain.main_reason import MainReasons
from scheduler.rules.explain.wording import slug
from scheduler.runtime import Runtime
from scheduler.store.leader import cluster_state, lease, wake

_ACCOUNTS_EVERY_S = 30.0
_MOST_ACCOUNTED_S = 300.0
"""Of a time without ticks no more is accounted: nobody knows what was held."""
_STATUS_EVERY_S = 0.5
_LONGEST_REST_S = 0.1
_CHECKED_HOURS = 0.25
"""History is checked this far back at least: a check that fell out is made up for."""
_NEVER_S = 3600.0


class SchedulerProcess:
    """One scheduler process's loops. `start()` returns at once; `stop()` gives the lead away."""

    def __init__(
        self,
        rt: Runtime,
        courier: Dispatcher,
        monotonic: Callable[[], float] = time.monotonic,
        catalogue: DriverCatalogue | None = None,
    ) -> None:
        self._rt, self._courier, self._monotonic = rt, courier, monotonic
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._session: Connection | None = None
        self._term: int | None = None
        self._state, self._silences = ClusterState(self._rt.settings), Silences()
        self._remembered: set[int] = set()  # nodes that have left and that executions refer to
        self._looking = threading.Lock()  # the picture is used by one thread at a time
        self._handing_over = threading.Lock()
        self._seat: tuple[lease.Seat, float] | None = None
        self._last = TickResult()
        self._tick_s = 0.0
        self._placed = self._lost = 0
        self._rest_until = 0.0
        self._accounts_at: float | None = None
        self._told, self._told_at = "{}", -_STATUS_EVERY_S
        self._stopped = threading.Event()
        self._ticking = Loop("tick", self._turn)
        self._leading = Loop("lead", self._lead)
        self._upkeep = Loop("upkeep", self._keep_up)
        self._sampling = Loop("sampling", self._sample)
        self._tally = ViolationCounts()
        self._checking = Loop("checking", self._check)
        self._scaler = Autoscaler(rt, catalogue or configured_drivers.catalogue_of(rt), self._lend, monotonic)
        self._scaling = Loop("scaling", self._scale)
        self._listening = Loop("listen", self._listen)
        self._loops = (
            self._listening, self._leading, self._upkeep, self._ticking, self._checking, self._sampling, self._scaling
        )  # fmt: skip

    @property
    def leads(self) -> bool:
        """Whether this process leads, as far as it knows."""
        return self._term is not None

    def start(self) -> None:
        """Begin all loops."""
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """End all loops and give the lead away, so that another takes over at once."""
        self._stopped.set()
        for loop in reversed(self._loops):
            loop.stop()
        self._step_down(self._term, "stopping")

    def _lead(self) -> float:
        """Take the lead when it is free, or give a sign of life while holding it: never waits for a tick."""
        pause, term = min(1.0, self._rt.settings.leader_s / 4), self._term
        if term is not None:
            with self._rt.db.begin() as tx:
                still = lease.beat(tx, term, self._told)
            if not still:
                self._step_down(term, "another scheduler took over")
            return pause
        term = self._take_lead()
        if term is not None:
            log.info("scheduler.leads", term=term, holder=self._holder)
            with self._looking:
                self._state, self._term, self._accounts_at = ClusterState(self._rt.settings), term, None
            self._ticking.wake()
            self._sampling.wake()
        return pause

    def _take_lead(self) -> int | None:
        session = self._session = self._session or self._rt.db.connect()
        try:
            with session.begin():
                seat = lease.look(session)
                if lease.try_lock(session) or self._stands_still(seat):
                    return lease.take(session, self._holder, seat)
        except Exception:
            self._session = None
            session.invalidate()
            session.close()
            raise
        return None

    def _stands_still(self, seat: lease.Seat) -> bool:
        now = self._monotonic()
        if self._seat is None or self._seat[0] != seat:
            self._seat = (seat, now)
        return now - self._seat[1] >= self._rt.settings.leader_s

    def _step_down(self, term: int | None, why: str) -> None:
        """Lead no more under this term; nothing happens when that was noticed before, by another thread."""
        with self._handing_over:
            if term != self._term:
                return
            self._term = None
            session, self._session = self._session, None
        if session is not None:
            with suppress(DBAPIError), session.begin():
                lease.release(session)
            session.invalidate()  # ends the session, and with it the lock if it could not be given back
            session.close()
        if term is not None:
            log.info("scheduler.steps-down", term=term, why=why)

    def _turn(self) -> float:
        term = self._term
        if term is None:
            return self._rt.settings.tick_poll_s
        # Under load many small ends come one after another; a pause as long as the last tick lets them gather, and
        # leaves half a core to those who do the work. After a quiet moment there is no pause.
        self._stopped.wait(max(0.0, self._rest_until - self._monotonic()))
        began = self._monotonic()
        with self._looking:
            try:
                self._last = tick(self._rt, self._state, term, self._courier.deliver)
                ended = self._monotonic()
                self._tick_s = ended - began
                self._tell(ended)
            except TermOver:
                self._step_down(term, "another scheduler took over")
                return self._rt.settings.tick_poll_s
            except Exception:
                self._state = ClusterState(self._rt.settings)
                raise
        self._rest_until = ended + min(self._tick_s, _LONGEST_REST_S)
        self._placed += self._last.placed
        self._lost += self._last.lost
        if self._last.placed:
            log.info("tick", placed=self._last.placed, lost=self._last.lost, ms=round(self._tick_s * 1000, 1))
        if self._last.placed >= self._rt.settings.tick_limit:
            return 0.0
        return self._until_next()

    def _until_next(self) -> float:
        poll = self._rt.settings.tick_poll_s
        ripe = self._state.queue.next_due()
        return poll if ripe is None else min(poll, max(0.0, ripe - self._state.now - self._tick_s))

    def _keep_up(self) -> float:
        if self._term is None:
            self._silences = Silences()
            return self._rt.settings.upkeep_s
        for name in declare_lost(self._rt, self._silences, self._monotonic):
            log.warning("node.lost", node=name)
        maintenance.ready_due(self._rt)
        maintenance.forgive_nodes(self._rt)
        withdrawn = withdrawal.withdraw_late(self._rt)
        if withdrawn:
            log.warning("placements.withdrawn", count=withdrawn)
        return self._rt.settings.upkeep_s

    def _scale(self) -> float:
        term = self._term
        if term is None:
            self._scaler.forget()
            self._remembered.clear()
        else:
            self._scaler.step(term)
            with self._lend() as cluster_state:
                placeable = {node.id for node in cluster_state.nodes}
            maintenance.forget_nodes(self._rt, self._remembered, placeable)
        return self._rt.settings.scaling_s

    @contextmanager
    def _lend(self) -> Iterator[ClusterState]:
        with self._looking:
            yield self._state

    def _sample(self) -> float:
        if self._term is not None:
            load_samples.sample(self._rt, self._term)
        return self._rt.settings.sample_s

    def _check(self) -> float:
        every = self._rt.settings.check_s
        if self._term is not None and every:
            self._tally.check(self._rt, hours=max(2 * every / 3600, _CHECKED_HOURS))
        return every or _NEVER_S

    def _tell(self, now: float) -> None:
        """Note what operators see of the leader with its next beat, and the projects' accounts now and then."""
        if now - self._told_at >= _STATUS_EVERY_S:
            self._told, self._told_at = self._status(), now
        if self._accounts_at is None or now - self._accounts_at >= _ACCOUNTS_EVERY_S:
            elapsed, self._accounts_at = (0.0 if self._accounts_at is None else now - self._accounts_at), now
            elapsed = min(elapsed, _MOST_ACCOUNTED_S)
            if elapsed:
                accounts = self._state.account(self._last.plan, elapsed)
                with self._rt.db.begin() as tx:
                    cluster_state.keep_accounts(tx, accounts)

    def _status(self) -> str:
        waiting = self._state.queue
        return orjson.dumps(
            {
                "queued": len(waiting),
                "tick_ms": round(self._tick_s * 1000, 2),
                "waiting_by_reason": self._waiting_by_reason(),
                # Its own settings: what operators set over them is known without it, and at once.
                "preemption": self._rt.settings.preemption,
                "reservations": self._rt.settings.reservations,
                "reserved": len(self._last.plan.reservations),
                "placed": self._placed,
                "lost": self._lost,
                "violations": dict(self._tally.found),
                "prediction_error": round(self._state.predictor.error, 4),
            }
        ).decode()

    def _waiting_by_reason(self) -> dict[str, int]:
        """Return how many jobs wait first of all for what, in the words of the API."""
        queue, main = self._state.queue, MainReasons(self._state.snapshot())
        counts = Counter(dict(zip((slug(Reason.HELD), slug(Reason.NOT_BEFORE)), queue.held_and_delayed(), strict=True)))
        for shape_id, refusal in self._last.plan.refusals.items():
            count = queue.count(shape_id)
            if count:
                reason = main.of(queue.groups[shape_id].shape, refusal)
                nowhere = reason is Reason.NODE_NOT_READY and not len(self._state.nodes)
                counts[NO_NODES if nowhere else slug(reason)] += count
        return dict(+counts)

    def _listen(self) -> float:
        """Hear what is nudged, until stopped; it only makes things quicker, polling goes on."""
        wake.listen(self._rt.db.url, self._hear, lambda: not self._stopped.is_set())
        return 0.0

    def _hear(self, topic: str) -> None:
        if topic == "tick":
            self._ticking.wake()
        elif topic == "scaling":
            self._scaling.wake()
        elif topic.startswith("node:"):
            self._courier.ring(topic.removeprefix("node:"))
