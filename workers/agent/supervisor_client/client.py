"""The client itself: commands go down in batches, in order; what happens comes up as the node's own events.

Commands that are sent while there is no supervisor are dropped. When one answers again, the state machine is told which
runs it knows (`SupervisorUp`), compares, and repeats what is missing.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from workers import log
from workers.agent.supervisor_client.connection import (
    SupervisorConnection,
    SupervisorMessage,
    SupervisorVersionError,
)
from workers.agent.supervisor_client.launch import CONNECT_TIMEOUT_S, SupervisorLostError, start_or_connect
from workers.agent.supervisor_client.reader import SupervisorReader, powers_of
from workers.commands import KillTree, ReleaseTree, StartRun, TreeCommand
from workers.events import Event
from workers.paths import ExecutionKey, tree_name


class SupervisorClient:
    """One agent's hold on the supervisor of its node. The connection is made again as often as it is lost."""

    STARTS: ClassVar = False
    """Whether `messages` also tells of each start: the agent has no use for it."""

    def __init__(
        self,
        directory: Path,
        report: Callable[[Event], None] = lambda _: None,
        sampled: Callable[[ExecutionKey, SupervisorMessage], None] = lambda _key, _sample: None,
        *,
        python: str = sys.executable,
        tree: str | None = None,
    ) -> None:
        """Connect, starting the supervisor where none answers. Raises `SupervisorLostError`, `SupervisorVersionError`.

        `report` is called with events, and `sampled` with what a run uses, from the thread that reads from the supervisor
        and that of `run_events`. `tree` forces a kind of process tree on a supervisor that has to be started.
        """
        self._directory, self._python, self._tree = directory, python, tree
        self._reader = SupervisorReader(report, sampled)
        self._inbox: queue.SimpleQueue[list[SupervisorMessage] | SupervisorConnection] = queue.SimpleQueue()
        self._is_direct = False
        self._switch = threading.Lock()
        self._connection: SupervisorConnection | None = None
        self._closed = False
        self.hello: SupervisorMessage = {}
        self._connect()

    @property
    def powers(self) -> dict[str, Any]:
        """The process trees that the supervisor can contain and kill."""
        return powers_of(self.hello)

    @property
    def stuck(self) -> set[str]:
        """Trees with a process that cannot be killed."""
        return self._reader.stuck

    def send(self, commands: Sequence[TreeCommand]) -> None:
        """Have these carried out, after all that were sent before. Returns at once; answers become events."""
        ordered = sorted(
            commands, key=_is_release
        )  # stable: the others keep their order, and none follows a tree's release
        with suppress(SupervisorLostError):
            for kind, same in groupby(ordered, type):
                self._carry_out(kind, list(same))

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
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def run_events(self) -> None:
        """Report what happens, until closed. Raises `SupervisorLostError` when no supervisor can be started any more.

        From then on the thread that reads from a supervisor also reports; this one only connects again.
        """
        with self._switch, suppress(queue.Empty):
            self._is_direct = True
            while True:
                news = self._inbox.get_nowait()
                if not isinstance(news, list):
                    self._inbox.put(news)
                    break
                self._reader.take(news)
        for _ in self.messages():
            pass

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

    def _deliver(self, news: list[SupervisorMessage] | SupervisorConnection) -> None:
        with self._switch:
            if self._is_direct and isinstance(news, list):
                self._reader.take(news)
            else:
                self._inbox.put(news)

    def _connect(self) -> None:
        give_up = time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            connected = start_or_connect(self._directory, self._python, self._tree)
            try:
                self._connection = SupervisorConnection(connected, self._deliver)
                self.hello = self._connection.hello
                self._deliver([{"ev": "connected", "hello": self.hello}])
                self._connection.begin(starts=self.STARTS)
            except SupervisorVersionError:
                raise
            except SupervisorLostError:  # it died or shut down in this very moment
                if time.monotonic() > give_up:
                    raise
            else:
                return

    def _carry_out(self, kind: type[TreeCommand], commands: list[Any]) -> None:
        if kind is StartRun:
            self._post(self._reader.started, "start", runs=[command.run.encode() for command in commands])
        elif kind is KillTree:
            trees = [
                {"tree": tree_name(command.key), "grace_s": command.grace_s, "reason": "stopped"}
                for command in commands
            ]
            self._post(self._reader.killed, "kill", trees=trees)
        else:
            self._post(lambda _: None, "release", trees=[tree_name(command.key) for command in commands])

    def _post(self, answered: Callable[[SupervisorMessage], None], operation: str, **fields: object) -> None:
        """Send a request; `answered` is called with its answer, if one comes. Raises `SupervisorLostError`."""

        def take(answer: SupervisorMessage | None) -> None:
            if answer is not None and "error" in answer:
                log.logger().error(log.SUPERVISOR_REFUSED, operation=operation, why=answer["error"])
            elif answer is not None:
                answered(answer)

        if self._connection is None:
            raise SupervisorLostError("not connected")
        self._connection.post({"op": operation, "silent": True, **fields}, take)


def _is_release(command: TreeCommand) -> bool:
    return type(command) is ReleaseTree
