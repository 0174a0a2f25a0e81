"""The client itself: commands go down in batches, in order; what happens comes up as the node's own events.

Commands that are sent while there is no supervisor are dropped. When one answers again, the state machine is told which
runs it knows (`SupervisorUp`), compares, and repeats what is missing.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workers import log
from workers.agent.supervisor_client import run_end
from workers.agent.supervisor_client.connection import (
    Inbox,
    SupervisorConnection,
    SupervisorMessage,
    SupervisorVersionError,
)
from workers.agent.supervisor_client.launch import CONNECT_TIMEOUT_S, SupervisorLostError, start_or_connect
from workers.commands import KillTree, ReleaseTree, StartRun, TreeCommand
from workers.events import Event, RunEnd, RunEnded, RunOutcome, SupervisorUp, TreeIdle
from workers.paths import key_of, tree_name


class SupervisorClient:
    """One agent's hold on the supervisor of its node. The connection is made again as often as it is lost."""

    def __init__(
        self,
        directory: Path,
        report: Callable[[Event], None] = lambda _: None,
        *,
        python: str = sys.executable,
        tree: str | None = None,
    ) -> None:
        """Connect, starting the supervisor where none answers. Raises `SupervisorLostError`, `SupervisorVersionError`.

        `report` is called with events, from the threads of `run_commands` and `run_events`. `tree` forces a kind of
        process tree on a supervisor that has to be started.
        """
        self._directory, self._python, self._tree = directory, python, tree
        self._report = report
        self._inbox: Inbox = queue.SimpleQueue()
        self._connection: SupervisorConnection | None = None
        self._commands: deque[TreeCommand] = deque()
        self._change = threading.Condition()
        self._closed = False
        self.hello: SupervisorMessage = {}
        self.stuck: set[str] = set()
        """Trees with a process that cannot be killed."""
        self._connect()

    @property
    def powers(self) -> dict[str, Any]:
        """The process trees that the supervisor can contain and kill."""
        return {name: self.hello.get(name) for name in ("tree", "missing", "confines")}

    def send(self, commands: Sequence[TreeCommand]) -> None:
        """Have these carried out, after all that were sent before. Returns at once."""
        with self._change:
            self._commands.extend(commands)
            self._change.notify()

    def lease(self, sent_boottime: float) -> None:
        """Tell the supervisor when the last heartbeat that was answered had been sent, in seconds of CLOCK_BOOTTIME."""
        with suppress(SupervisorLostError):  # the next heartbeat tells the next supervisor
            self.ask("lease", sent_boottime=sent_boottime)

    def shutdown(self, grace_s: float) -> None:
        """Stop all trees and then the supervisor; `messages` still yields the ends of runs, then stops."""
        self._closed = True
        with suppress(SupervisorLostError):
            self.ask("shutdown", grace_s=grace_s)

    def close(self) -> None:
        """Let the threads return; the supervisor and all trees stay."""
        with self._change:
            self._closed = True
            self._change.notify()
        if self._connection is not None:
            self._connection.close()

    def run_commands(self) -> None:
        """Carry out what is sent, until closed."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._commands or self._closed)
                if self._closed:
                    return
                batch = list(self._commands)
                self._commands.clear()
            batch.sort(key=_is_release)  # stable: the others keep their order, and none follows a tree's release
            with suppress(SupervisorLostError):
                for kind, commands in groupby(batch, type):
                    self._carry_out(kind, list(commands))

    def run_events(self) -> None:
        """Report what happens, until closed. Raises `SupervisorLostError` when no supervisor can be started any more."""
        known: list[SupervisorMessage] | None = None
        pid = None
        for message in self.messages():
            if message["ev"] == "connected":
                known = []
                if pid not in {None, message["hello"].get("pid")}:
                    log.logger().warning(log.SUPERVISOR_LOST, pid=pid)
                pid = message["hello"].get("pid")
            elif message["ev"] == "caught_up":
                self._catch_up(known or [], pid)
                known = None
            elif known is not None:
                known.append(message)
            else:
                self._read(message)

    def messages(self) -> Iterator[SupervisorMessage]:
        """Yield messages for good, connecting again (and starting the supervisor again) whenever it is lost.

        Ends after `close` or `shutdown`. One thread iterates. Raises `SupervisorLostError` when no supervisor can
        be started.
        """
        while True:
            news = self._inbox.get()
            if isinstance(news, list):
                yield from news
            elif self._closed:
                return
            elif news is self._connection:
                self._connect()

    def ask(self, operation: str, **fields: object) -> SupervisorMessage:
        """Send one request and return its answer. Raises `SupervisorLostError`, and `ValueError` if refused."""
        if self._connection is None:
            raise SupervisorLostError("not connected")
        return self._connection.ask({"op": operation, **fields})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> None:
        give_up = time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            connected = start_or_connect(self._directory, self._python, self._tree)
            try:
                self._connection = SupervisorConnection(connected, self._inbox)
                self.hello = self._connection.hello
                self._inbox.put([{"ev": "connected", "hello": self.hello}])
                self._connection.begin()
            except SupervisorVersionError:
                raise
            except SupervisorLostError:  # it died or shut down in this very moment
                if time.monotonic() > give_up:
                    raise
            else:
                return

    def _carry_out(self, kind: type[TreeCommand], commands: list[Any]) -> None:
        if kind is StartRun:
            self._start(commands)
        elif kind is KillTree:
            self._kill(commands)
        else:
            self.ask("release", trees=[tree_name(command.key) for command in commands])

    def _start(self, commands: list[StartRun]) -> None:
        answer = self.ask("start", runs=[command.run.encode() for command in commands])
        for message in answer["known"]:
            self._read(message)
        for refused in answer["refused"]:
            key = key_of(str(refused["tree"]))
            if key is not None:
                end = RunEnd(RunOutcome.LAUNCH, message=str(refused["message"]))
                self._report(RunEnded(key, refused["phase"], end))

    def _kill(self, commands: list[KillTree]) -> None:
        trees = [
            {"tree": tree_name(command.key), "grace_s": command.grace_s, "reason": "stopped"} for command in commands
        ]
        for tree in self.ask("kill", trees=trees)["unknown"]:
            key = key_of(tree)
            if key is not None:
                self._report(TreeIdle(key))

    def _catch_up(self, known: list[SupervisorMessage], pid: int | None) -> None:
        keyed = [(key, message) for message in known if (key := key_of(message["tree"])) is not None]
        log.logger().info(log.SUPERVISOR_UP, pid=pid, runs=len(keyed), **self.powers)
        self._report(SupervisorUp(frozenset((key, message["phase"]) for key, message in keyed)))
        for _, message in keyed:
            self._read(message)

    def _read(self, message: SupervisorMessage) -> None:
        key = key_of(str(message.get("tree", "")))
        if key is None:
            return
        if message["ev"] == "ended":
            self.stuck.discard(message["tree"])
            self._report(RunEnded(key, message["phase"], run_end.read(message)))
        elif message["ev"] == "stuck":
            self.stuck.add(message["tree"])


def _is_release(command: TreeCommand) -> bool:
    return type(command) is ReleaseTree
