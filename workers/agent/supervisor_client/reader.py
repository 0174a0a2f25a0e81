"""Reads what a supervisor says, and reports it as the node's own events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers import log
from workers.agent.supervisor_client import run_end
from workers.agent.supervisor_client.connection import SupervisorMessage
from workers.events import Event, RunEnd, RunEnded, RunOutcome, SupervisorUp, TreeIdle
from workers.paths import ExecutionKey, key_of


class SupervisorReader:
    """Used by one thread at a time. `stuck` are trees with a process that cannot be killed."""

    def __init__(
        self, report: Callable[[Event], None], sampled: Callable[[ExecutionKey, SupervisorMessage], None]
    ) -> None:
        self.stuck: set[str] = set()
        self._report, self._sampled = report, sampled
        self._known: list[SupervisorMessage] | None = None
        self._hello: SupervisorMessage = {}
        self._pid: int | None = None

    def take(self, messages: list[SupervisorMessage]) -> None:
        """Read what came together, in order."""
        for message in messages:
            if message["ev"] == "connected":
                self._known = []
                if self._pid not in {None, message["hello"].get("pid")}:
                    log.logger().warning(log.SUPERVISOR_LOST, pid=self._pid)
                self._hello = message["hello"]
                self._pid = self._hello.get("pid")
            elif message["ev"] == "caught_up":
                self._catch_up(self._known or [], self._pid)
                self._known = None
            elif self._known is not None:
                self._known.append(message)
            else:
                self.read(message)

    def started(self, answer: SupervisorMessage) -> None:
        """Read the answer to a start."""
        for message in answer["known"]:
            self.read(message)
        for refused in answer["refused"]:
            key = key_of(str(refused["tree"]))
            if key is not None:
                end = RunEnd(RunOutcome.LAUNCH, message=str(refused["message"]))
                self._report(RunEnded(key, refused["phase"], end))

    def killed(self, answer: SupervisorMessage) -> None:
        """Read the answer to a kill."""
        for tree in answer["unknown"]:
            key = key_of(tree)
            if key is not None:
                self._report(TreeIdle(key))

    def _catch_up(self, known: list[SupervisorMessage], pid: int | None) -> None:
        keyed = [(key, message) for message in known if (key := key_of(message["tree"])) is not None]
        log.logger().info(log.SUPERVISOR_UP, pid=pid, runs=len(keyed), **powers_of(self._hello))
        self._report(SupervisorUp(frozenset((key, message["phase"]) for key, message in keyed)))
        for _, message in keyed:
            self.read(message)

    def read(self, message: SupervisorMessage) -> None:
        """Read one message about a run."""
        key = key_of(str(message.get("tree", "")))
        if key is None:
            return
        if message["ev"] == "ended":
            self.stuck.discard(message["tree"])
            self._report(RunEnded(key, message["phase"], run_end.read(message)))
        elif message["ev"] == "sample":
            self._sampled(key, message)
        elif message["ev"] == "stuck":
            self.stuck.add(message["tree"])


def powers_of(hello: SupervisorMessage) -> dict[str, Any]:
    """Return the process trees that a supervisor can contain and kill, from its greeting."""
    return {name: hello.get(name) for name in ("tree", "missing", "confines")}
