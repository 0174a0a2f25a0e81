"""Drives the core: events in, effects out, facts on disk before anything that relies on them.

One thread owns core and journal. What takes no time is done right here, without another thread, because a node does
a thousand times a second what each effect does; what may take time goes to threads of its own and comes back as event.
While the journal cannot be written, nothing is claimed, and nothing is forgotten or removed: reports go out, and the
supervisor keeps the ends until they stand on disk.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog

from scheduler.wire import ClaimOne, ReportOne
from workers import log
from workers.agent.foreman import Foreman, Order
from workers.agent.state_machine import Core
from workers.api_client import Api
from workers.commands import (
    Claim,
    Collect,
    Effect,
    Follow,
    Kill,
    Leave,
    Register,
    Release,
    Remove,
    Report,
    Say,
    Ship,
    Stage,
    Start,
    StopWork,
    Write,
)
from workers.events import ClaimsDropped, Collected, Event, Failure, Moment, Shipped, Staged, Tick
from workers.files import collecting, secret_dirs, staging, work_dirs
from workers.files.work_dirs import Folders
from workers.journal import Fact, Spool
from workers.link.batches import Sender
from workers.link.heartbeat import Liaison
from workers.output.log_file_pool import Blanks
from workers.output.progress import Board
from workers.output.shipper import Shipper
from workers.paths import Key, Places

_TICK_S = 1.0
_NEVER = threading.Event()
"""For work that is over before anybody could stop it."""
_MOST_EVENTS = 500
"""Handled together; more would make the first of them wait."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Everybody who does what the heart wants done."""

    api: Api
    places: Places
    folders: Folders
    blanks: Blanks
    supplies: staging.Supplies
    foreman: Foreman
    liaison: Liaison
    shipper: Shipper
    board: Board
    claims: Sender[ClaimOne]
    reports: Sender[ReportOne]
    stagers: ThreadPoolExecutor
    collectors: ThreadPoolExecutor
    removers: ThreadPoolExecutor


class Heart:
    """The loop around the core. `tell` may be called from any thread; everything else belongs to `run`."""

    def __init__(self, core: Core, spool: Spool) -> None:
        self._core, self._spool = core, spool
        self._crew: Crew
        self._do: dict[type, Callable[[Any], None]] = self._doers()
        self._inbox: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._soon: list[Event] = []
        self._orders: list[Order] = []
        self._claims: list[ClaimOne] = []
        self._reports: list[ReportOne] = []
        self._unwritten: list[Fact] = []
        self._held_back: list[Effect] = []
        self._halts: dict[Key, threading.Event] = {}
        self._logs: dict[Key, list[str]] = {}
        """Output files of executions all of whose commands this life has started."""
        self._next_tick = 0.0
        self.journal_trouble: str | None = None

    @property
    def holding(self) -> int:
        """How many executions are held; may be asked from any thread."""
        return len(self._core.held)

    def lead(self, crew: Crew) -> None:
        """Say who does the work; before `run`."""
        self._crew = crew

    def tell(self, event: Event) -> None:
        """Have the event handled."""
        self._inbox.put(event)

    def stop(self) -> None:
        """Let `run` return after what was told before; staging and collecting are given up and not told of."""
        self._inbox.put(None)
        for pool in (self._crew.stagers, self._crew.collectors, self._crew.removers):
            pool.shutdown(wait=False, cancel_futures=True)
        for halt in list(self._halts.values()):
            halt.set()

    def run(self) -> None:
        """Handle events until stopped."""
        while True:
            events, stopped = self._wait()
            while events:
                self._handle(events)
                events, self._soon = self._soon, []
            if stopped:
                return

    def _wait(self) -> tuple[list[Event], bool]:
        events: list[Event] = []
        now = time.monotonic()
        with contextlib.suppress(queue.Empty):
            told = self._inbox.get(timeout=max(0.0, self._next_tick - now))
            while told is not None:
                events.append(told)
                if len(events) >= _MOST_EVENTS:
                    break
                told = self._inbox.get_nowait()
            if told is None:
                return events, True
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + _TICK_S
            events.append(Tick())
        return events, False

    def _handle(self, events: Sequence[Event]) -> None:
        """One pass: all events through the core, then all facts in one write, then all effects."""
        now = Moment(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
        facts: list[Fact] = []
        effects: list[Effect] = []
        for event in events:
            for effect in self._core.handle(event, now):
                if type(effect) is Write:
                    facts.append(effect.fact)
                else:
                    effects.append(effect)
        if facts or self._unwritten:
            effects = self._write(facts, effects)
        for effect in effects:
            self._do[type(effect)](effect)
        self._pass_on()

    def _write(self, facts: list[Fact], effects: list[Effect]) -> list[Effect]:
        """Write the facts; return the effects that may be done then."""
        try:
            self._spool.append([*self._unwritten, *facts])
        except OSError as error:
            return self._do_without(facts, effects, error)
        self._unwritten = []
        if self.journal_trouble is not None:
            self.journal_trouble = None
            log.logger().warning(log.JOURNAL_MENDED)
            effects, self._held_back = [*self._held_back, *effects], []
        return effects

    def _do_without(self, facts: list[Fact], effects: list[Effect], error: OSError) -> list[Effect]:
        if self.journal_trouble is None:
            self.journal_trouble = f"the journal cannot be written: {error.strerror}"
            log.logger().warning(log.JOURNAL_BROKEN, why=error.strerror)
            self._crew.liaison.nudge()
        unasked = [fact.key for fact in facts if fact.kind == "intent"]
        self._unwritten += [fact for fact in facts if fact.kind != "intent"]
        if unasked:
            self._soon.append(ClaimsDropped(unasked))
        self._held_back += [effect for effect in effects if isinstance(effect, Release | Remove)]
        return [effect for effect in effects if not isinstance(effect, Release | Remove | Claim)]

    def _pass_on(self) -> None:
        """Hand over, in one piece each, what gathered for others."""
        if self._orders:
            self._crew.foreman.order(self._orders)
            self._orders = []
        if self._claims:
            self._crew.claims.put(self._claims)
            self._claims = []
        if self._reports:
            self._crew.reports.put(self._reports)
            self._reports = []

    def _doers(self) -> dict[type, Callable[[Any], None]]:
        return {
            Claim: lambda effect: self._claims.append(effect.claim),
            Collect: self._collect,
            Follow: self._follow,
            Kill: self._orders_append,
            Leave: lambda _: self._crew.liaison.leave(),
            Register: self._register,
            Release: self._orders_append,
            Remove: self._remove,
            Report: lambda effect: self._reports.append(effect.report),
            Say: _say,
            Ship: self._ship,
            Stage: self._stage,
            Start: self._start,
            StopWork: self._stop_work,
        }

    def _orders_append(self, order: Order) -> None:
        self._orders.append(order)

    def _register(self, effect: Register) -> None:
        self._crew.claims.clear()
        self._claims.clear()
        self._crew.liaison.register(effect.held)

    def _stage(self, effect: Stage) -> None:
        spec, crew = effect.spec, self._crew
        key = spec.execution_id, spec.attempt
        self._logs[key] = []
        light = not staging.needs_files(spec)
        halt = _NEVER if light else threading.Event()
        order = staging.Staging(
            crew.api, crew.places, crew.folders, crew.supplies, effect.uid, effect.gid, halt, effect.gpus
        )
        if light:
            self._soon.append(Staged(key, staging.stage(spec, order)))
            return
        self._halts[key] = halt

        def work() -> None:
            failure: Failure | None = Failure("staging", "Staging failed in a way that nobody expected.")
            try:
                failure = staging.stage(spec, order)
            except Exception:  # noqa: BLE001  the execution must get an end, whatever it is
                log.logger().exception(log.THREAD_FAILED, execution=key[0])
            self.tell(Staged(key, failure))

        _submit(self._crew.stagers, work)

    def _collect(self, effect: Collect) -> None:
        spec = effect.spec
        key = spec.execution_id, spec.attempt
        if collecting.is_light(spec, self._crew.places):
            self._soon.append(Collected(key))
            return
        halt = self._halts[key] = threading.Event()
        order = collecting.Collecting(self._crew.api, self._crew.places, effect.uid, halt)

        def work() -> None:
            found = Collected(
                key, failure=Failure("invalid-output", "Collecting failed in a way that nobody expected.")
            )
            try:
                found = collecting.collect(spec, order)
            except Exception:  # noqa: BLE001  the execution must get an end, whatever it is
                log.logger().exception(log.THREAD_FAILED, execution=key[0])
            self.tell(found)

        _submit(self._crew.collectors, work)

    def _stop_work(self, effect: StopWork) -> None:
        halt = self._halts.get(effect.key)
        if halt is not None:
            halt.set()

    def _start(self, effect: Start) -> None:
        known, run = self._logs.get(effect.run.key), effect.run
        if known is not None and run.stdout not in known:  # for the first time: there is no output yet
            self._crew.blanks.lay_out(run.stdout)
            self._crew.blanks.lay_out(run.stderr)
        self._orders.append(effect)
        self._follow(Follow(run))

    def _follow(self, effect: Follow) -> None:
        run = effect.run
        self._crew.shipper.follow(run)
        self._crew.board.phase(run.key, run.phase)
        if run.key in self._logs:
            self._logs[run.key] += run.stdout, run.stderr

    def _ship(self, effect: Ship) -> None:
        if self._crew.shipper.finish(effect.key, effect.output_bytes, all_known=effect.key in self._logs):
            self._soon.append(Shipped(effect.key))

    def _remove(self, effect: Remove) -> None:
        key = effect.key
        self._halts.pop(key, None)
        self._crew.shipper.drop(key)
        self._crew.board.drop(key)
        paths = self._logs.pop(key, None)
        for path in self._crew.places.all_logs(key) if paths is None else paths:
            self._crew.blanks.take_back(path)
        secret_dirs.remove(self._crew.places, key)
        folder = self._crew.places.attempt(key)
        if not self._crew.folders.put_away(folder):
            _submit(self._crew.removers, lambda: work_dirs.remove(folder))


def _submit(pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the agent is ending; the next one finds it all in the journal
        pool.submit(work)


def _say(effect: Say) -> None:
    logger: structlog.typing.FilteringBoundLogger = log.logger()
    getattr(logger, effect.level)(effect.event, **effect.fields)
