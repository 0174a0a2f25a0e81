"""The heart of a node: what to do next, for every execution that it holds. No thread, clock or I/O is in here.

`handle(event, now)` changes the core's books and returns the effects to be done, in order. Executions of earlier lives
are DORMANT until the scheduler has said, in its answer to `register`, which of them may go on. Placements are claimed
only while the node is registered, well, not stopping, and rid of everything that was taken from it.

                    .--------------------- stop, failure ----------------------.
    claiming → staging → pre command → job → post command → collecting → cleanup → shipping → reporting → gone
       ↑            ↑ (restored ones enter wherever their last life left them)          purging ↗ (taken away)
    rung, or waiting in a beat's answer
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any, Final

from scheduler import wire
from scheduler.rules.lifecycle.outcome import Outcome, of_stop
from workers import log
from workers.agent.context import Context, NodeProfile
from workers.agent.execution import HeldExecution, State, restore
from workers.agent.phases import finish, job, post, pre, run, stop
from workers.commands import (
    FollowOutput,
    KillTree,
    LeaveCluster,
    LogLine,
    NodeCommand,
    RegisterNode,
    ReleaseTree,
    SendClaim,
    StartRun,
    StopFileWork,
)
from workers.events import (
    BeatAnswered,
    ClaimAnswered,
    ClaimsDropped,
    Collected,
    Event,
    HealthChanged,
    Idle,
    Moment,
    PlacementsReceived,
    RegisterAnswered,
    Replaced,
    ReportAnswered,
    RunEnded,
    Shipped,
    Staged,
    StopRequested,
    SupervisorUp,
    Tick,
)
from workers.journal import Fact
from workers.paths import ExecutionKey


class StateMachine:
    """One node's books. `word` gives a fresh random claim token of 16 to 64 characters each time it is called."""

    def __init__(self, profile: NodeProfile, word: Callable[[], str], facts: Sequence[Fact] = ()) -> None:
        """`facts` is the journal of earlier lives."""
        self._context = Context(profile)
        self._word = word
        self.held: dict[ExecutionKey, HeldExecution] = restore(facts)
        for one in self.held.values():
            if one.spec is not None:
                self._context.slots.restore(one.key, one.slot)
        self.node_id: int | None = None
        self.epoch: int | None = None
        self._registered = False
        self._wants_register = True
        self._trouble: str | None = None
        self._stopping = False
        self._draining = False
        self._left = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            PlacementsReceived: self._rung,
            BeatAnswered: self._beat_answered,
            RegisterAnswered: self._register_answered,
            ClaimAnswered: self._claim_answered,
            ReportAnswered: self._report_answered,
            Replaced: self._replaced,
            Staged: self._staged,
            RunEnded: self._run_ended,
            Idle: self._idle,
            SupervisorUp: self._supervisor_up,
            Collected: self._collected,
            Shipped: self._shipped,
            HealthChanged: self._health,
            ClaimsDropped: self._claims_dropped,
            StopRequested: self._stop_asked,
            Tick: self._tick,
        }

    def handle(self, event: Event, now: Moment) -> list[NodeCommand]:
        """Take note of the event; return what is to be done now, in order."""
        context = self._context
        context.now, context.commands = now, []
        self._handlers[type(event)](event)
        if self._wants_register or self._stopping or self._draining:
            self._turn()
        return context.commands

    # --- placements ---------------------------------------------------------------------------------------

    def _rung(self, event: PlacementsReceived) -> None:
        if event.epoch == self.epoch:
            self._claim(event.keys)

    def _claim(self, keys: Iterable[ExecutionKey]) -> None:
        if not self._registered or self._stopping or self._draining or self._left or self._trouble is not None:
            return
        if any(one.state is State.PURGING for one in self.held.values()):
            return  # a beat's answer repeats them
        for key in keys:
            if key not in self.held:
                self._ask(HeldExecution(key, self._word()))

    def _ask(self, one: HeldExecution) -> None:
        one.state = State.CLAIMING
        self.held[one.key] = one
        self._context.record(one, "intent", {"token": one.token})
        self._context.issue(
            SendClaim(wire.ExecutionClaim(execution_id=one.key[0], attempt=one.key[1], token=one.token))
        )

    def _claims_dropped(self, event: ClaimsDropped) -> None:
        for key in event.keys:
            self._forget(key)

    def _claim_answered(self, event: ClaimAnswered) -> None:
        for refused in event.answer.refused:
            one = self._claiming(refused)
            if one is not None:
                self._context.record(one, "done", {})
                self._context.log(log.EXECUTION_REFUSED, one, why=refused.why)
                self._forget(one.key)
        for spec in event.answer.granted:
            one = self._claiming(spec)
            if one is not None:
                self._granted(one, spec)

    def _claiming(self, ref: wire.ExecutionRef) -> HeldExecution | None:
        one = self.held.get((ref.execution_id, ref.attempt))
        return one if one is not None and one.state is State.CLAIMING else None

    def _granted(self, one: HeldExecution, spec: wire.TaskSpec) -> None:
        one.spec = spec
        one.slot = self._context.slots.allocate(one.key, spec.amounts.custom.get("gpu", 0))
        kept = spec.model_dump_json(exclude={"secrets"})
        self._context.record(one, "spec", {"spec": kept, "uid": one.uid, "gid": one.gid, "gpus": one.slot.gpus})
        if self._stopping and one.stop is None:
            one.stop = Outcome.RETURNED
        if one.stop is not None:
            finish.report(self._context, one)
        else:
            pre.begin(self._context, one)

    # --- executions ---------------------------------------------------------------------------------------

    def _staged(self, event: Staged) -> None:
        one = self._awake(event.key)
        if one is not None and one.state is State.STAGING:
            pre.staged(self._context, one, event.failure)

    def _run_ended(self, event: RunEnded) -> None:
        one = self.held.get(event.key)
        if one is None:
            self._context.issue(ReleaseTree(event.key))
            return
        if one.running != event.phase:
            return
        run.note_end(self._context, one, event.phase, event.end)
        if one.state is not State.DORMANT and self._awake(event.key) is not None:
            _NEXT[event.phase](self._context, one)

    def _idle(self, event: Idle) -> None:
        one = self.held.get(event.key)
        if one is not None and one.state is State.PURGING and one.running is not None:
            self._awake(event.key)

    def _collected(self, event: Collected) -> None:
        one = self._awake(event.key)
        if one is not None and one.state is State.COLLECTING:
            post.collected(self._context, one, event)

    def _shipped(self, event: Shipped) -> None:
        one = self._awake(event.key)
        if one is not None and one.state is State.SHIPPING:
            finish.report(self._context, one)

    def _awake(self, key: ExecutionKey) -> HeldExecution | None:
        """Return what is held; but what was being purged has come to rest now, and is forgotten."""
        one = self.held.get(key)
        if one is not None and one.state is State.PURGING:
            finish.dropped(self._context, one)
            self._forget(key)
            return None
        return one

    def _report_answered(self, event: ReportAnswered) -> None:
        for key in (*event.accepted, *event.fenced):
            one = self.held.get(key)
            if one is None or one.state is not State.REPORTING:
                continue
            self._context.record(one, "done", {})
            if key in event.fenced:
                self._context.log(log.EXECUTION_FENCED, one)
            self._forget(key)

    def _forget(self, key: ExecutionKey) -> None:
        self.held.pop(key, None)
        self._context.forget(key)

    # --- scheduler ----------------------------------------------------------------------------------------

    def _beat_answered(self, event: BeatAnswered) -> None:
        answer = event.answer
        if answer.epoch != self.epoch:
            return
        self._context.leased_at = event.sent
        self._draining = answer.drain  # an operator may think better of it, until we have left
        for cancel in answer.cancels:
            one = self.held.get((cancel.execution_id, cancel.attempt))
            if one is not None:
                stop.request(self._context, one, of_stop(cancel.reason), cancel.grace_s)
        if answer.waiting:
            self._claim((ref.execution_id, ref.attempt) for ref in answer.waiting)

    def _register_answered(self, event: RegisterAnswered) -> None:
        answer = event.answer
        self.node_id, self.epoch = answer.node_id, answer.epoch
        self._context.leased_at = event.sent
        self._registered = True
        for ref in answer.kill:
            one = self.held.get((ref.execution_id, ref.attempt))
            if one is not None and one.report is None:
                self._purge(one)
        for one in [one for one in self.held.values() if one.state is State.DORMANT]:
            self._resume(one)

    def _resume(self, one: HeldExecution) -> None:
        """Go on with an execution of an earlier life where that life left it."""
        self._context.log(log.EXECUTION_RESUMED, one, running=one.running, last=one.last)
        if one.report is not None:
            finish.repeat(self._context, one)
        elif one.spec is None or (one.spec.secret_names and not one.staged):
            self._ask(one)  # the same token is granted the same again
        elif one.running is not None:
            one.state = State.RUNNING
            self._context.issue(StartRun(run.describe(self._context, one, one.running)))
            if self._stopping:
                stop.request(self._context, one, Outcome.RETURNED, None)
        elif one.last is not None:
            one.state = State.RUNNING
            _NEXT[one.last](self._context, one)
        else:
            pre.begin(self._context, one)

    def _replaced(self, event: Replaced) -> None:
        if not self._registered or event.epoch != self.epoch:
            return  # an answer that was overtaken by a registration
        self._registered, self._wants_register = False, True
        self._context.issue(LogLine(log.NODE_REPLACED, {"held": len(self.held)}, "warning"))
        for one in list(self.held.values()):
            if one.report is None:
                self._purge(one)

    def _purge(self, one: HeldExecution) -> None:
        if one.state is State.PURGING:
            return
        if finish.purge(self._context, one):
            self._forget(one.key)

    # --- supervisor ---------------------------------------------------------------------------------------

    def _supervisor_up(self, event: SupervisorUp) -> None:
        """A supervisor never starts again what it, or one before it, was told once: so whatever it lacks is sent.

        But not for executions of earlier lives before it is known that they may go on.
        """
        context = self._context
        for key in sorted({key for key, _ in event.runs} - self.held.keys()):
            context.issue(KillTree(key, 0.0))
            context.issue(ReleaseTree(key))
        for one in self.held.values():
            if one.running is None:
                continue
            command = run.describe(context, one, one.running)
            if (one.key, one.running) in event.runs:
                context.issue(FollowOutput(command))
            elif one.state not in {State.DORMANT, State.PURGING}:
                context.issue(StartRun(command))
            if one.state is State.PURGING:
                context.issue(KillTree(one.key, 0.0))
            elif one.stop is not None:
                context.issue(KillTree(one.key, one.granted_spec.limits.grace_s))

    # --- the node -----------------------------------------------------------------------------------------

    def _health(self, event: HealthChanged) -> None:
        if event.trouble != self._trouble:
            name = log.NODE_HEALTHY if event.trouble is None else log.NODE_DEGRADED
            self._context.issue(LogLine(name, {"why": event.trouble or self._trouble}, "warning"))
        self._trouble = event.trouble

    def _stop_asked(self, event: StopRequested) -> None:
        self._stopping = True
        if event.how == "drain":
            return
        self._context.stopping = True
        for one in list(self.held.values()):
            stop.request(self._context, one, Outcome.RETURNED, None)
            if event.how == "now" and one.running is not None:
                self._context.issue(KillTree(one.key, 0.0))

    def _tick(self, _: Tick) -> None:
        for key, deadline in list(self._context.deadlines.items()):
            if self._context.now.boot < deadline:
                continue
            del self._context.deadlines[key]
            one = self.held[key]
            (pre if one.state is State.STAGING else post).too_long(one)
            self._context.issue(StopFileWork(key))

    def _turn(self) -> None:
        """Register as soon as nothing is left that was taken away; leave as soon as nothing is held at all."""
        if self._wants_register and not any(one.state is State.PURGING for one in self.held.values()):
            self._wants_register = False
            self._context.issue(RegisterNode(self._held_list()))
        if (self._stopping or self._draining) and not self.held and not self._left:
            self._left = True
            self._context.issue(LeaveCluster())

    def _held_list(self) -> list[wire.HeldExecution]:
        return [
            wire.HeldExecution(execution_id=key[0], attempt=key[1], token=one.token) for key, one in self.held.items()
        ]


_NEXT: Final = MappingProxyType({"pre": pre.ended, "job": job.ended, "post": post.ended, "cleanup": finish.ship})
"""What follows the end of a phase's command."""
