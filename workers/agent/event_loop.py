"""Drives the state machine: events in, commands out, facts in the journal before any command that relies on them.

      any thread                                one thread: EventLoop.run                          other threads
    .------------.    .-------.    .---------------.  facts   .------------.  commands   .---------------------------.
    | post(event)| →  | inbox | →  | StateMachine  |    →     | WriteAhead |     →       | supervisor, claims,       |
    '------------'    '-------'    |    .handle    |          |    Journal |             | reports, heartbeat, files |
          ↑                        '---------------'          '------------'             '---------------------------'
          '------------------------------------ answers come back as events ------------------------'

One pass takes all events that wait, hands them to the state machine, writes all facts in one write, and then does all
commands. One thread owns the state machine and the journal, so neither has a lock. Commands that take no time are done
right here, because a node does each of them a thousand times a second; what ends with them is the next pass. Commands that
may take time go to threads of their own, and their ends come back as events.

A turn is all passes that follow from one another, from the end of one program to the start of the next, say. What goes to the
supervisor and to the API is handed over at its end, the supervisor first: a slot is empty until it starts something. Only
then are the directories cleared away of what has ended.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from scheduler.wire import ExecutionClaim, ExecutionReport, ExecutionStart
from workers import log
from workers.agent.execution import ExecutionStep
from workers.agent.services import NodeServices
from workers.agent.state_machine import StateMachine
from workers.agent.write_ahead_journal import WriteAheadJournal
from workers.commands import (
    CollectOutputs,
    FollowOutput,
    KeepOutput,
    KeepSlotPosition,
    KeepVenv,
    KillTree,
    LeaveCluster,
    MendWorkDir,
    NodeCommand,
    RegisterNode,
    ReleaseTree,
    RemoveFiles,
    SendClaim,
    SendReport,
    SendStart,
    ShipOutput,
    StageInputs,
    StartRun,
    StopFileWork,
    TreeCommand,
    WriteJournalEntry,
    WriteLogLine,
)
from workers.events import ClaimsDropped, Event, EventTime, OutputShipped, SlotsWithheld, Tick
from workers.journal import JournalEntry
from workers.machine import user_leftovers
from workers.paths import ExecutionKey

_TICK_S = 1.0
_UNDER_WAY = frozenset({ExecutionStep.STAGING, ExecutionStep.RUNNING, ExecutionStep.COLLECTING})
_MOST_EVENTS = 500
"""Handled together; more would make the first of them wait."""

Inbox = queue.SimpleQueue[Event | None]
"""The events that wait; None ends the loop."""


class EventLoop:
    """The loop around the state machine. Everything here but `stop` belongs to the thread of `run`."""

    def __init__(
        self, machine: StateMachine, write_ahead: WriteAheadJournal, services: NodeServices, inbox: Inbox
    ) -> None:
        """Events come from `inbox`, which any thread may fill; `services` do what takes time."""
        self._machine, self._write_ahead, self._services, self._inbox = machine, write_ahead, services, inbox
        self._handlers = self._handler_table()
        self._next_events: list[Event] = []
        self._tree_commands: list[TreeCommand] = []
        self._claims: list[ExecutionClaim] = []
        self._starts: list[ExecutionStart] = []
        self._reports: list[ExecutionReport] = []
        self._removals: list[ExecutionKey] = []
        self._next_tick = 0.0

    def stop(self) -> None:
        """Let `run` return after the events that wait; staging and collecting are given up, and their ends not seen."""
        self._inbox.put(None)
        self._services.file_work.close()

    def run(self) -> None:
        """Handle events until stopped."""
        while True:
            events, stopped = self._wait()
            while events:
                self._handle(events)
                events, self._next_events = self._next_events, []
            self._hand_over()
            self._clear_away()
            if stopped:
                return

    def _wait(self) -> tuple[list[Event], bool]:
        """Return the events that wait, and whether the loop is to end; at least one tick a second."""
        events: list[Event] = []
        now = time.monotonic()
        with contextlib.suppress(queue.Empty):
            event = self._inbox.get(timeout=max(0.0, self._next_tick - now))
            while event is not None:
                events.append(event)
                if len(events) >= _MOST_EVENTS:
                    break
                event = self._inbox.get_nowait()
            if event is None:
                return events, True
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + _TICK_S
            events.append(Tick())
        return events, False

    def _handle(self, events: Sequence[Event]) -> None:
        """One pass: all events through the state machine, then all facts in one write, then all commands."""
        now = EventTime(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
        facts: list[JournalEntry] = []
        commands: list[NodeCommand] = []
        for event in events:
            for command in self._machine.handle(event, now):
                if type(command) is WriteJournalEntry:
                    facts.append(command.fact)
                else:
                    commands.append(command)
        for command in self._write(facts, commands):
            self._handlers[type(command)](command)
        if any(type(event) is Tick for event in events):
            self._note_phases()

    def _note_phases(self) -> None:
        """Once a second is enough for people: what begins and ends in between is told with its report."""
        for key, execution in self._machine.held.items():
            if execution.state in _UNDER_WAY:
                self._services.outputs.note_phases(key, execution.phases)

    def _write(self, facts: list[JournalEntry], commands: list[NodeCommand]) -> list[NodeCommand]:
        """Write the facts; return the commands that may be done then."""
        was_well = self._write_ahead.trouble is None
        possible, unclaimed = self._write_ahead.write(facts, commands)
        if was_well and self._write_ahead.trouble is not None:
            self._services.heartbeat.nudge()
        if unclaimed:
            self._next_events.append(ClaimsDropped(unclaimed))
        return possible

    def _hand_over(self) -> None:
        """Hand over, in one piece each, what gathered during the turn."""
        if self._tree_commands:
            self._services.supervisor.send(self._tree_commands)
            self._tree_commands = []
        if self._claims or self._starts or self._reports:
            hungry = not self._machine.is_ahead
            self._services.exchange.put(self._claims, self._starts, self._reports, hungry=hungry)
            self._claims, self._starts, self._reports = [], [], []

    def _clear_away(self) -> None:
        """Remove what ended executions have left."""
        for key in self._removals:
            self._services.outputs.remove(key)
            self._services.file_work.remove(key)
        self._removals = []

    # Any: each handler takes its own kind of command
    def _handler_table(self) -> dict[type, Callable[[Any], None]]:
        services = self._services
        return {
            RegisterNode: self._register,
            KeepSlotPosition: self._keep_position,
            SendClaim: lambda command: self._claims.append(command.claim),
            SendStart: lambda command: self._starts.append(command.start),
            StageInputs: self._stage,
            MendWorkDir: services.file_work.mend,
            StartRun: self._start,
            FollowOutput: lambda command: services.outputs.follow(command.key, command.run),
            KeepOutput: lambda command: services.outputs.keep(command.key, command.phase, command.streams),
            KillTree: self._tree_command,
            KeepVenv: services.file_work.keep_venv,
            CollectOutputs: self._collect,
            StopFileWork: lambda command: services.file_work.stop(command.key),
            ShipOutput: self._ship,
            SendReport: lambda command: self._reports.append(command.report),
            ReleaseTree: self._tree_command,
            RemoveFiles: lambda command: self._removals.append(command.key),
            LeaveCluster: lambda _: services.heartbeat.leave(),
            WriteLogLine: _log,
        }

    def _keep_position(self, command: KeepSlotPosition) -> None:
        self._services.position.write(command.position)
        left = user_leftovers.look(command.free) if command.free else {}
        self._next_events.append(SlotsWithheld(frozenset(left)))
        if left:
            threading.Thread(target=user_leftovers.clear, args=(left,), name="leftovers", daemon=True).start()

    def _register(self, command: RegisterNode) -> None:
        self._services.exchange.drop_claims()
        self._claims.clear()
        self._services.heartbeat.register(command.held)

    def _stage(self, command: StageInputs) -> None:
        self._services.outputs.begin((command.spec.execution_id, command.spec.attempt))
        self._soon(self._services.file_work.stage(command))

    def _start(self, command: StartRun) -> None:
        self._services.outputs.follow(command.key, command.run)
        self._tree_commands.append(command)

    def _tree_command(self, command: TreeCommand) -> None:
        self._tree_commands.append(command)

    def _collect(self, command: CollectOutputs) -> None:
        self._soon(self._services.file_work.collect(command))

    def _ship(self, command: ShipOutput) -> None:
        if self._services.outputs.finish(command.key, command.output_bytes, command.kept):
            self._soon(OutputShipped(command.key))

    def _soon(self, event: Event | None) -> None:
        """Handle an event right after this pass, if there is one already."""
        if event is not None:
            self._next_events.append(event)


def _log(command: WriteLogLine) -> None:
    logger: structlog.typing.FilteringBoundLogger = log.logger()
    getattr(logger, command.level)(command.event, **command.fields)
