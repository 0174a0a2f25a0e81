"""Between the heart and the supervisor: orders go down in batches, in order; what happens comes up as events.

What is ordered while the supervisor is away is dropped: when one answers again, the core compares and repeats.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias, assert_never

from workers import log
from workers.agent.supervision import Supervision, SupervisorLostError
from workers.commands import KillTree, ReleaseTree, StartRun
from workers.events import Event, Idle, RunEnd, RunEnded, RunOutcome, SupervisorUp
from workers.paths import key_of, tree_name
from workers.supervisor import reasons
from workers.supervisor.limits import NO_ROOM
from workers.supervisor.reasons import EndReason
from workers.supervisor.request import RunRequest

Order: TypeAlias = StartRun | KillTree | ReleaseTree


class Foreman:
    """The agent's hold on the supervisor. `tell` is called with events, from the foreman's threads."""

    def __init__(self, folder: Path, tree: str | None, tell: Callable[[Event], None]) -> None:
        """Connect to the supervisor of this folder, starting it where none runs. Raises SupervisorLostError."""
        self._supervision = Supervision(folder, tree=tree)
        self._tell = tell
        self._orders: deque[Order] = deque()
        self._change = threading.Condition()
        self._stopped = False
        self.stuck: set[str] = set()
        """Trees with a process that cannot be killed."""

    @property
    def powers(self) -> dict[str, Any]:
        """What the supervisor can contain and kill."""
        hello = self._supervision.hello
        return {"tree": hello.get("tree"), "missing": hello.get("missing")}

    def order(self, orders: Sequence[Order]) -> None:
        """Pass these on, after what waits already."""
        with self._change:
            self._orders.extend(orders)
            self._change.notify()

    def lease(self, sent_boottime: float) -> None:
        """Tell the supervisor when the last beat that was answered had been sent."""
        try:
            self._supervision.lease(sent_boottime)
        except SupervisorLostError:
            return  # the next beat tells the next supervisor

    def shutdown(self, grace_s: float) -> None:
        """End all trees and the supervisor."""
        try:
            self._supervision.shutdown(grace_s)
        except SupervisorLostError:
            return

    def close(self) -> None:
        """Let the threads return; supervisor and trees stay."""
        with self._change:
            self._stopped = True
            self._change.notify()
        self._supervision.close()

    def run_orders(self) -> None:
        """Pass orders on until closed."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._orders or self._stopped)
                if self._stopped:
                    return
                batch = list(self._orders)
                self._orders.clear()
            try:
                batch.sort(key=_is_release)  # stable: the others keep their order, and none follows a tree's release
                for kind, orders in groupby(batch, type):
                    self._pass_on(kind, list(orders))
            except SupervisorLostError:
                continue

    def run_events(self) -> None:
        """Pass events up until closed. Raises SupervisorLostError when no supervisor can be started any more."""
        known: list[dict[str, Any]] | None = None
        pid = None
        for event in self._supervision.events():
            if event["ev"] == "connected":
                known = []
                if pid not in {None, event["hello"].get("pid")}:
                    log.logger().warning(log.SUPERVISOR_LOST, pid=pid)
                pid = event["hello"].get("pid")
            elif event["ev"] == "caught_up":
                self._catch_up(known or [], pid)
                known = None
            elif known is not None:
                known.append(event)
            else:
                self._hear(event)

    def _pass_on(self, kind: type[Order], orders: list[Any]) -> None:
        if kind is StartRun:
            self._start([one.run for one in orders])
        elif kind is KillTree:
            self._kill(orders)
        else:
            self._supervision.release([tree_name(one.key) for one in orders])

    def _kill(self, orders: list[KillTree]) -> None:
        trees = [{"tree": tree_name(one.key), "grace_s": one.grace_s, "reason": "stopped"} for one in orders]
        for tree in self._supervision.kill(trees):
            key = key_of(tree)
            if key is not None:
                self._tell(Idle(key))

    def _start(self, runs: list[RunRequest]) -> None:
        answer = self._supervision.start([run.encode() for run in runs])
        for event in answer["known"]:
            self._hear(event)
        for refused in answer["refused"]:
            key = key_of(str(refused["tree"]))
            if key is not None:
                self._tell(RunEnded(key, refused["phase"], RunEnd(RunOutcome.LAUNCH, message=str(refused["message"]))))

    def _catch_up(self, known: list[dict[str, Any]], pid: int | None) -> None:
        keyed = [(key, event) for event in known if (key := key_of(event["tree"])) is not None]
        log.logger().info(log.SUPERVISOR_UP, pid=pid, runs=len(keyed), **self.powers)
        self._tell(SupervisorUp(frozenset((key, event["phase"]) for key, event in keyed)))
        for _, event in keyed:
            self._hear(event)

    def _hear(self, event: dict[str, Any]) -> None:
        key = key_of(str(event.get("tree", "")))
        if key is None:
            return
        if event["ev"] == "ended":
            self.stuck.discard(event["tree"])
            self._tell(RunEnded(key, event["phase"], _end(event)))
        elif event["ev"] == "stuck":
            self.stuck.add(event["tree"])


def _is_release(order: Order) -> bool:
    return type(order) is ReleaseTree


def _end(event: dict[str, Any]) -> RunEnd:
    outcome = _outcome(event)
    usage = {name: amount for name, amount in (event["usage"] or {}).items() if amount is not None}
    message = event.get("message") or ""
    return RunEnd(
        outcome=outcome,
        exit_code=event["exit_code"],
        signal=event["signal"],
        started=event["started"],
        completed=event["ended"],
        usage={**usage, "seconds": event["seconds"]},
        message=f"The command could not be started: {message}" if outcome is RunOutcome.LAUNCH and message else message,
        of_program=event.get("of_program", False),
    )


def _outcome(event: dict[str, Any]) -> RunOutcome:
    reason = reasons.read(event["reason"])
    match reason:
        case EndReason.EXIT:
            outcome = RunOutcome.OUT_OF_MEMORY if event["oom"] and event["exit_code"] != 0 else RunOutcome.EXITED
        case EndReason.TIMEOUT:
            outcome = RunOutcome.TIMEOUT
        case EndReason.DISK_FULL:
            outcome = RunOutcome.DISK_FULL
        case EndReason.FENCED:
            outcome = RunOutcome.FENCED
        case EndReason.LAUNCH:
            outcome = RunOutcome.DISK_FULL if event.get("errno") in NO_ROOM else RunOutcome.LAUNCH
        case EndReason.SUPERVISOR_LOST:
            outcome = RunOutcome.LOST
        case EndReason.KILLED:
            outcome = RunOutcome.KILLED
        case _:
            assert_never(reason)
    return outcome
