"""The state machine of a node: what to do next, for every execution that the node holds. It does no I/O itself.

`handle(event, now)` takes one event, changes the state of the executions, and returns the commands to be done, in
order. There is no thread, no clock and no random number in here: time and claim tokens are handed in. So the same
events always give the same commands, and a test can play any life of a node, and any death, event by event.

One execution goes through these states (`execution.ExecutionStep`). Each state waits for one event:

                    .--------------------- stop, failure ----------------------.
    claiming (→ ahead) → staging → pre command → job → post command → collecting → cleanup → shipping → reporting → gone
       ↑            ↑ (restored ones enter wherever their last life left them)          purging ↗ (taken away)
    placements from the broker, or from the answer to a heartbeat

    state        the event it waits for
    -----        ----------------------
    dormant      RegistrationAnswered: may this execution of an earlier life go on?
    claiming     ClaimAnswered: granted or refused
    ahead        room, which this node's own books say: then it starts (`ahead`)
    staging      InputsStaged: the directory with the inputs is ready, or cannot be made
    keeping      VenvKept: the Python environment that was made is the node's own, or cannot be kept
    running      RunEnded: the command of the present phase has ended (environment, pre, job, post, cleanup)
    collecting   OutputsCollected: the outputs are uploaded, or cannot be
    shipping     OutputShipped: the rest of what the programs wrote is handed over
    reporting    ReportAnswered: the scheduler has the report, or does not want it any more
    purging      whichever event says that nothing of it runs any more; nothing is reported

Four rules hold throughout:

* Facts come first. A fact that a later life of the agent must know is a `WriteJournalEntry` command, and the event loop writes it to
  the journal before it does any command of the same answer.
* An execution of an earlier life is DORMANT until the scheduler has said that it may go on (`recovery`).
* Placements are claimed only while the node is registered, healthy, not leaving, and rid of everything that was taken
  from it. A placement that is not claimed now is repeated by the answer to a heartbeat.
* Every event may come twice or late. A state that does not wait for the event ignores it.

The steps themselves are functions beside this module: `claims` (from placement to grant), `phases` (the steps of one
execution), `recovery` (what earlier lives left). The class below knows the node: registration, health, leaving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scheduler import wire
from scheduler.identifiers import Epoch
from scheduler.rules.lifecycle.outcome import Outcome
from workers import log
from workers.agent import claims, recovery
from workers.agent.context import NodeProfile, StepContext
from workers.agent.execution import ExecutionStep, NodeExecution, restore
from workers.agent.phases import cancel_or_return, finish, post, pre, run
from workers.agent.phases.sequence import AFTER
from workers.agent.run_ahead import ahead, answers
from workers.commands import KillTree, LeaveCluster, NodeCommand, RegisterNode, ReleaseTree, StopFileWork, WriteLogLine
from workers.events import (
    ClaimAnswered,
    ClaimsDropped,
    EpochReplaced,
    Event,
    EventTime,
    ExchangeAnswered,
    HealthChanged,
    HeartbeatAnswered,
    InputsStaged,
    OutputsCollected,
    OutputShipped,
    PlacementsReceived,
    RegistrationAnswered,
    ReportAnswered,
    RunEnded,
    SlotsWithheld,
    StopRequested,
    SupervisorUp,
    Tick,
    TreeIdle,
    VenvKept,
)
from workers.journal import JournalEntry
from workers.paths import ExecutionKey

_ENOUGH_AHEAD = 8
"""With so many executions ahead the node has no need to hurry the scheduler."""


class StateMachine:
    """All that one node knows. Used by one thread."""

    def __init__(self, profile: NodeProfile, new_token: Callable[[], str], facts: Sequence[JournalEntry] = ()) -> None:
        """`facts` is the journal of earlier lives.

        `new_token` returns a fresh random claim token of 16 to 64 characters each time it is called.
        """
        self._context = context = StepContext(profile, restore(facts))
        self._new_token = new_token
        self.epoch: Epoch | None = None
        self._registered = False
        self._wants_register = True
        self._trouble: str | None = None
        self._draining = False
        self._left = False
        self._handlers: dict[type, Callable[[Any], None]] = {  # Any: each takes its own kind of event
            PlacementsReceived: self._placements_received,
            HeartbeatAnswered: self._beat_answered,
            RegistrationAnswered: self._register_answered,
            ClaimAnswered: lambda event: claims.answered(context, event),
            ClaimsDropped: lambda event: claims.dropped(context, event),
            ReportAnswered: lambda event: answers.reported(context, event),
            ExchangeAnswered: self._exchange_answered,
            EpochReplaced: self._replaced,
            InputsStaged: self._staged,
            VenvKept: self._venv_kept,
            RunEnded: self._run_ended,
            TreeIdle: self._idle,
            SupervisorUp: lambda event: recovery.supervisor_up(context, event),
            OutputsCollected: self._collected,
            OutputShipped: self._shipped,
            HealthChanged: self._health_changed,
            StopRequested: self._stop_requested,
            SlotsWithheld: lambda event: context.slots.withhold(event.uids),
            Tick: self._tick,
        }

    @property
    def held(self) -> dict[ExecutionKey, NodeExecution]:
        """The executions that the node holds; to be read only."""
        return self._context.held

    def claim_token(self, key: ExecutionKey) -> str:
        """Return the token of an execution's claim, empty for one that is not held. From any thread."""
        held = self._context.held.get(key)
        return "" if held is None else held.token

    def handle(self, event: Event, now: EventTime) -> list[NodeCommand]:
        """Take the event in; return the commands that are to be done now, in order."""
        context = self._context
        context.now, context.commands = now, []
        self._handlers[type(event)](event)
        if context.ahead:
            ahead.proceed(context, give_back=self._gives_back())
        if self._wants_register or context.leaving or self._draining:
            self._register_or_leave()
        return context.commands

    @property
    def is_ahead(self) -> bool:
        """Whether the node has work enough to go on for a while without the scheduler: half of what it was given last."""
        return len(self._context.ahead) >= max(_ENOUGH_AHEAD, self._context.given_ahead // 2)

    def _gives_back(self) -> bool:
        return self._context.leaving or self._draining or self._left or self._trouble is not None

    # --- placements ---------------------------------------------------------------------------------------

    def _placements_received(self, event: PlacementsReceived) -> None:
        if event.epoch == self.epoch:
            self._claim(event.keys)

    def _claim(self, keys: Iterable[ExecutionKey]) -> None:
        if not self._registered or self._gives_back():
            return
        if self._context.is_purging():
            return  # the answer to a heartbeat repeats them
        waiting = sum(execution.spec is None for execution in self.held.values())
        for key in keys:
            if self._context.slots.is_exhausted(waiting):
                return  # likewise
            if key not in self.held:
                waiting += 1
                claims.request(self._context, NodeExecution(key, self._new_token()))

    # --- executions ---------------------------------------------------------------------------------------

    def _staged(self, event: InputsStaged) -> None:
        execution = self._awake(event.key)
        if execution is not None and execution.state is ExecutionStep.STAGING:
            pre.staged(self._context, execution, event)

    def _venv_kept(self, event: VenvKept) -> None:
        execution = self._awake(event.key)
        if execution is not None and execution.state is ExecutionStep.KEEPING:
            pre.venv_kept(self._context, execution, event)

    def _run_ended(self, event: RunEnded) -> None:
        execution = self.held.get(event.key)
        if execution is None:
            self._context.issue(ReleaseTree(event.key))
            return
        if execution.running != event.phase:
            return
        run.record_end(self._context, execution, event.phase, event.end)
        if execution.state is not ExecutionStep.DORMANT and self._awake(event.key) is not None:
            AFTER[event.phase](self._context, execution)

    def _idle(self, event: TreeIdle) -> None:
        execution = self.held.get(event.key)
        if execution is not None and execution.state is ExecutionStep.PURGING and execution.running is not None:
            self._awake(event.key)

    def _collected(self, event: OutputsCollected) -> None:
        execution = self._awake(event.key)
        if execution is not None and execution.state is ExecutionStep.COLLECTING:
            post.collected(self._context, execution, event)

    def _shipped(self, event: OutputShipped) -> None:
        execution = self._awake(event.key)
        if execution is not None and execution.state is ExecutionStep.SHIPPING:
            finish.report(self._context, execution)

    def _awake(self, key: ExecutionKey) -> NodeExecution | None:
        """Return what is held; but an execution that was being purged has come to rest now, and is forgotten."""
        execution = self.held.get(key)
        if execution is not None and execution.state is ExecutionStep.PURGING:
            finish.dropped(self._context, execution)
            self._context.forget(key)
            return None
        return execution

    # --- scheduler ----------------------------------------------------------------------------------------

    def _beat_answered(self, event: HeartbeatAnswered) -> None:
        if event.answer.epoch == self.epoch:
            self._context.leased_at = event.sent
            self._heed(event.answer)

    def _exchange_answered(self, event: ExchangeAnswered) -> None:
        answers.answered(self._context, event.answer)
        if event.epoch == self.epoch:
            self._heed(event.answer)

    def _heed(self, news: wire.HeartbeatAnswer | wire.ExchangeAnswer) -> None:
        """Do what the scheduler wants: stop what it names, claim what it has placed here."""
        self._draining = news.drain  # an operator may think better of it, until we have left
        answers.stop(self._context, news.cancels)
        if news.waiting:
            self._claim((ref.execution_id, ref.attempt) for ref in news.waiting)

    def _register_answered(self, event: RegistrationAnswered) -> None:
        self.epoch = event.answer.epoch
        self._registered = True
        recovery.registered(self._context, event)

    def _replaced(self, event: EpochReplaced) -> None:
        if not self._registered or event.epoch != self.epoch:
            return  # an answer that was overtaken by a registration
        self._registered, self._wants_register = False, True
        self._context.issue(WriteLogLine(log.NODE_REPLACED, {"held": len(self.held)}, "warning"))
        for execution in list(self.held.values()):
            if execution.report is None:
                recovery.purge(self._context, execution)

    # --- the node -----------------------------------------------------------------------------------------

    def _health_changed(self, event: HealthChanged) -> None:
        if event.trouble != self._trouble:
            name = log.NODE_HEALTHY if event.trouble is None else log.NODE_DEGRADED
            self._context.issue(WriteLogLine(name, {"why": event.trouble or self._trouble}, "warning"))
        self._trouble = event.trouble

    def _stop_requested(self, event: StopRequested) -> None:
        self._context.leaving = True
        if event.how == "drain":
            return
        self._context.stopping = True
        for execution in list(self.held.values()):
            cancel_or_return.request(self._context, execution, Outcome.RETURNED, None)
            if event.how == "now" and execution.running is not None:
                self._context.issue(KillTree(execution.key, 0.0))

    def _tick(self, _: Tick) -> None:
        deadlines = self._context.deadlines
        for key in [key for key, deadline in deadlines.items() if self._context.now.boot >= deadline]:
            del deadlines[key]
            (pre if self.held[key].state is ExecutionStep.STAGING else post).too_long(self.held[key])
            self._context.issue(StopFileWork(key))
        ahead.look_again(self._context)

    def _register_or_leave(self) -> None:
        """Register as soon as nothing is left that was taken away; leave as soon as nothing is held at all."""
        if self._wants_register and not self._context.is_purging():
            self._wants_register = False
            self._context.issue(RegisterNode(answers.held(self._context)))
        if (self._context.leaving or self._draining) and not self.held and not self._left:
            self._left = True
            self._context.issue(LeaveCluster())
