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

from scheduler.wire import ExecutionClaim, ExecutionReport
from workers import log
from workers.agent.foreman import Foreman, Order
from workers.agent.state_machine import StateMachine
from workers.api_client import Api
from workers.commands import (
    CollectOutputs,
    FollowOutput,
    KillTree,
    LeaveCluster,
    LogLine,
    NodeCommand,
    RegisterNode,
    ReleaseTree,
    RemoveFiles,
    SendClaim,
    SendReport,
    ShipOutput,
    StageInputs,
    StartRun,
    StopFileWork,
    WriteFact,
)
from workers.events import ClaimsDropped, Collected, Event, ExecutionFailure, Moment, Shipped, Staged, Tick
from workers.files import collecting, secret_dirs, staging, work_dirs
from workers.files.work_dirs import WorkDirs
from workers.journal import Fact, Journal
from workers.link.batches import Batcher
from workers.link.heartbeat import Heartbeat
from workers.output.log_file_pool import LogFilePool
from workers.output.progress import ProgressTracker
from workers.output.shipper import Shipper
from workers.paths import ExecutionKey, Paths

_TICK_S = 1.0
_NEVER = threading.Event()
"""For work that is over before anybody could stop it."""
_MOST_EVENTS = 500
"""Handled together; more would make the first of them wait."""


@dataclass(frozen=True, slots=True)
class NodeServices:
    """Everybody who does what the heart wants done."""

    api: Api
    paths: Paths
    work_dirs: WorkDirs
    log_files: LogFilePool
    staging_resources: staging.StagingResources
    foreman: Foreman
    heartbeat: Heartbeat
    shipper: Shipper
    progress: ProgressTracker
    claims: Batcher[ExecutionClaim]
    reports: Batcher[ExecutionReport]
    stagers: ThreadPoolExecutor
    collectors: ThreadPoolExecutor
    removers: ThreadPoolExecutor


class EventLoop:
    """The loop around the core. `tell` may be called from any thread; everything else belongs to `run`."""

    def __init__(self, machine: StateMachine, journal: Journal) -> None:
        self._machine, self._journal = machine, journal
        self._services: NodeServices
        self._handlers: dict[type, Callable[[Any], None]] = self._handler_table()
        self._inbox: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._next_events: list[Event] = []
        self._tree_commands: list[Order] = []
        self._claims: list[ExecutionClaim] = []
        self._reports: list[ExecutionReport] = []
        self._unwritten: list[Fact] = []
        self._deferred: list[NodeCommand] = []
        self._stop_flags: dict[ExecutionKey, threading.Event] = {}
        self._logs: dict[ExecutionKey, list[str]] = {}
        """Output files of executions all of whose commands this life has started."""
        self._next_tick = 0.0
        self.journal_trouble: str | None = None

    @property
    def holding(self) -> int:
        """How many executions are held; may be asked from any thread."""
        return len(self._machine.held)

    def use_services(self, services: NodeServices) -> None:
        """Say who does the work; before `run`."""
        self._services = services

    def post(self, event: Event) -> None:
        """Have the event handled."""
        self._inbox.put(event)

    def stop(self) -> None:
        """Let `run` return after what was told before; staging and collecting are given up and not told of."""
        self._inbox.put(None)
        for pool in (self._services.stagers, self._services.collectors, self._services.removers):
            pool.shutdown(wait=False, cancel_futures=True)
        for stop_flag in list(self._stop_flags.values()):
            stop_flag.set()

    def run(self) -> None:
        """Handle events until stopped."""
        while True:
            events, stopped = self._wait()
            while events:
                self._handle(events)
                events, self._next_events = self._next_events, []
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
        commands: list[NodeCommand] = []
        for event in events:
            for command in self._machine.handle(event, now):
                if type(command) is WriteFact:
                    facts.append(command.fact)
                else:
                    commands.append(command)
        if facts or self._unwritten:
            commands = self._write(facts, commands)
        for command in commands:
            self._handlers[type(command)](command)
        self._flush()

    def _write(self, facts: list[Fact], commands: list[NodeCommand]) -> list[NodeCommand]:
        """Write the facts; return the effects that may be done then."""
        try:
            self._journal.append([*self._unwritten, *facts])
        except OSError as error:
            return self._without_journal(facts, commands, error)
        self._unwritten = []
        if self.journal_trouble is not None:
            self.journal_trouble = None
            log.logger().warning(log.JOURNAL_MENDED)
            commands, self._deferred = [*self._deferred, *commands], []
        return commands

    def _without_journal(self, facts: list[Fact], commands: list[NodeCommand], error: OSError) -> list[NodeCommand]:
        if self.journal_trouble is None:
            self.journal_trouble = f"the journal cannot be written: {error.strerror}"
            log.logger().warning(log.JOURNAL_BROKEN, why=error.strerror)
            self._services.heartbeat.nudge()
        unasked = [fact.key for fact in facts if fact.kind == "intent"]
        self._unwritten += [fact for fact in facts if fact.kind != "intent"]
        if unasked:
            self._next_events.append(ClaimsDropped(unasked))
        self._deferred += [command for command in commands if isinstance(command, ReleaseTree | RemoveFiles)]
        return [command for command in commands if not isinstance(command, ReleaseTree | RemoveFiles | SendClaim)]

    def _flush(self) -> None:
        """Hand over, in one piece each, what gathered for others."""
        if self._tree_commands:
            self._services.foreman.order(self._tree_commands)
            self._tree_commands = []
        if self._claims:
            self._services.claims.put(self._claims)
            self._claims = []
        if self._reports:
            self._services.reports.put(self._reports)
            self._reports = []

    def _handler_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            SendClaim: lambda command: self._claims.append(command.claim),
            CollectOutputs: self._collect,
            FollowOutput: self._follow,
            KillTree: self._tree_command,
            LeaveCluster: lambda _: self._services.heartbeat.leave(),
            RegisterNode: self._register,
            ReleaseTree: self._tree_command,
            RemoveFiles: self._remove,
            SendReport: lambda command: self._reports.append(command.report),
            LogLine: _say,
            ShipOutput: self._ship,
            StageInputs: self._stage,
            StartRun: self._start,
            StopFileWork: self._stop_work,
        }

    def _tree_command(self, order: Order) -> None:
        self._tree_commands.append(order)

    def _register(self, command: RegisterNode) -> None:
        self._services.claims.clear()
        self._claims.clear()
        self._services.heartbeat.register(command.held)

    def _stage(self, command: StageInputs) -> None:
        spec, services = command.spec, self._services
        key = spec.execution_id, spec.attempt
        self._logs[key] = []
        light = not staging.needs_files(spec)
        stop_flag = _NEVER if light else threading.Event()
        order = staging.StagingTask(
            services.api,
            services.paths,
            services.work_dirs,
            services.staging_resources,
            command.uid,
            command.gid,
            stop_flag,
            command.gpus,
        )
        if light:
            self._next_events.append(Staged(key, staging.stage(spec, order)))
            return
        self._stop_flags[key] = stop_flag

        def work() -> None:
            failure: ExecutionFailure | None = ExecutionFailure(
                "staging", "Staging failed in a way that nobody expected."
            )
            try:
                failure = staging.stage(spec, order)
            except Exception:  # noqa: BLE001  the execution must get an end, whatever it is
                log.logger().exception(log.THREAD_FAILED, execution=key[0])
            self.post(Staged(key, failure))

        _submit(self._services.stagers, work)

    def _collect(self, command: CollectOutputs) -> None:
        spec = command.spec
        key = spec.execution_id, spec.attempt
        if collecting.is_light(spec, self._services.paths):
            self._next_events.append(Collected(key))
            return
        stop_flag = self._stop_flags[key] = threading.Event()
        order = collecting.CollectingTask(self._services.api, self._services.paths, command.uid, stop_flag)

        def work() -> None:
            found = Collected(
                key, failure=ExecutionFailure("invalid-output", "Collecting failed in a way that nobody expected.")
            )
            try:
                found = collecting.collect(spec, order)
            except Exception:  # noqa: BLE001  the execution must get an end, whatever it is
                log.logger().exception(log.THREAD_FAILED, execution=key[0])
            self.post(found)

        _submit(self._services.collectors, work)

    def _stop_work(self, command: StopFileWork) -> None:
        stop_flag = self._stop_flags.get(command.key)
        if stop_flag is not None:
            stop_flag.set()

    def _start(self, command: StartRun) -> None:
        known, run = self._logs.get(command.run.key), command.run
        if known is not None and run.stdout not in known:  # for the first time: there is no output yet
            self._services.log_files.place(run.stdout)
            self._services.log_files.place(run.stderr)
        self._tree_commands.append(command)
        self._follow(FollowOutput(run))

    def _follow(self, command: FollowOutput) -> None:
        run = command.run
        self._services.shipper.follow(run)
        self._services.progress.phase(run.key, run.phase)
        if run.key in self._logs:
            self._logs[run.key] += run.stdout, run.stderr

    def _ship(self, command: ShipOutput) -> None:
        if self._services.shipper.finish(command.key, command.output_bytes, all_known=command.key in self._logs):
            self._next_events.append(Shipped(command.key))

    def _remove(self, command: RemoveFiles) -> None:
        key = command.key
        self._stop_flags.pop(key, None)
        self._services.shipper.drop(key)
        self._services.progress.drop(key)
        files = self._logs.pop(key, None)
        for path in self._services.paths.all_logs(key) if files is None else files:
            self._services.log_files.recycle(path)
        secret_dirs.remove(self._services.paths, key)
        folder = self._services.paths.attempt(key)
        if not self._services.work_dirs.put_away(folder):
            _submit(self._services.removers, lambda: work_dirs.remove(folder))


def _submit(pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the agent is ending; the next one finds it all in the journal
        pool.submit(work)


def _say(command: LogLine) -> None:
    logger: structlog.typing.FilteringBoundLogger = log.logger()
    getattr(logger, command.level)(command.event, **command.fields)
