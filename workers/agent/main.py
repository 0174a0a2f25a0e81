"""The life of a node's agent: it opens its folder, reaches its supervisor, goes on with earlier work, serves, stops.

A node that the scheduler drains finishes and leaves by itself. The first SIGTERM or SIGINT hands all work back and
leaves; a second one does so without grace. SIGUSR1 exits at once and leaves supervisor and jobs running for the next
agent. SIGUSR2 finishes what is here, then leaves. kill -9 has the same effect as SIGUSR1.
"""

from __future__ import annotations

import os
import queue
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from scheduler.errors import GangerError, SetupError
from workers import log
from workers.agent import isolation, services, setup
from workers.agent.context import NodeProfile
from workers.agent.event_loop import EventLoop, Inbox
from workers.agent.setup import NodeSetup
from workers.agent.state_machine import StateMachine
from workers.agent.supervisor_client.connection import SupervisorVersionError
from workers.agent.supervisor_client.launch import SupervisorLostError
from workers.agent.write_ahead_journal import WriteAheadJournal
from workers.api_client import ServerRefused
from workers.events import StopRequested
from workers.files import secret_dirs
from workers.journal import Journal
from workers.machine import privacy, user_namespace
from workers.runners import PythonSettings, interpreters
from workers.settings import NodeSettings

EXIT_OK: Final = 0
EXIT_SETUP: Final = 2
EXIT_BROKEN: Final = 70
"""Something that must not happen has happened. Jobs go on; the service manager should start another agent."""

_JOIN_S: Final = 1.0
"""How long the end waits for threads. A thread that waits for the network is left behind."""

Ends = queue.SimpleQueue[tuple[str, str]]
"""What ends the agent: `signal` with its number, `left`, `refused` with a sentence, `broken` with the name of a thread."""

_WAYS: Final = {
    signal.SIGTERM: "stop",
    signal.SIGINT: "stop",
    signal.SIGUSR1: "leave-running",
    signal.SIGUSR2: "drain",
}


def run(settings: NodeSettings) -> int:
    """Be this node until it is told to stop; return the exit code. Call it in the main thread, once per process."""
    log.configure(settings.log_level)
    user_namespace.enter()
    privacy.protect()
    ends = _listen()
    try:
        node_setup = setup.prepare(settings)
        agent = Agent(settings, node_setup, ends)
    except SetupError as error:
        return _refuse(settings, str(error))
    except SupervisorVersionError as error:
        return _refuse(settings, f"The supervisor that runs here is of another release: {error}.")
    except SupervisorLostError as error:
        return _refuse(settings, f"The supervisor cannot be started: {error}.")
    return agent.live()


class Agent:
    """One life of a node: from the journal of earlier lives until it leaves, is told to end, or cannot go on."""

    def __init__(self, settings: NodeSettings, node_setup: NodeSetup, ends: Ends) -> None:
        """Read the journal and reach the supervisor; no thread runs yet. Raises SetupError, SupervisorLostError."""
        self._settings, self._node_setup, self._paths = settings, node_setup, node_setup.paths
        self._ends = ends
        journal = _open_journal(settings)
        gpus = tuple(gpu.index for gpu in node_setup.gpus)
        python = PythonSettings(interpreters.find(settings.interpreters), settings.pip_variables)
        profile = NodeProfile(
            settings.name,
            node_setup.paths,
            node_setup.user,
            node_setup.slots,
            gpus,
            node_setup.position.read(),
            python,
            isolation.rules(settings, node_setup),
            settings.sample_s,
        )
        self._machine = machine = StateMachine(profile, lambda: secrets.token_hex(16), journal.facts())
        inbox: Inbox = queue.SimpleQueue()
        self._post = inbox.put
        write_ahead = WriteAheadJournal(journal)
        self._services = services.build(
            settings, node_setup, write_ahead, lambda: len(machine.held), machine.claim_token, inbox.put
        )
        self._event_loop = EventLoop(machine, write_ahead, self._services, inbox)
        self._threads: list[threading.Thread] = []

    def live(self) -> int:
        """Serve until stopped; return the exit code."""
        setup.clear_out(self._paths, self._machine.held.keys(), self._services.remover)
        warning = isolation.warning(isolation.level(self._node_setup, self._services.supervisor.powers))
        if warning is not None:
            print(f"ganger: node {self._settings.name}: {warning}", file=sys.stderr)  # noqa: T201  for whoever starts it
        log.logger().info(log.AGENT_STARTED, node=self._settings.name, held=len(self._machine.held), pid=os.getpid())
        self._thread("event-loop", self._event_loop.run)
        for name, work in self._services.threads().items():
            self._thread(name, work)
        threading.Thread(target=self._await_left, daemon=True).start()
        return self._serve()

    def _serve(self) -> int:
        """Wait for the event that ends the agent, and end it accordingly."""
        deadline: float | None = None
        while True:
            try:
                what, detail = self._ends.get(
                    timeout=None if deadline is None else max(0.0, deadline - time.monotonic())
                )
            except queue.Empty:
                return self._end("the work could not be handed back in time", stay=False)
            if what == "left":
                return self._end("left", stay=False)
            if what == "refused":
                self._end(detail, stay=bool(self._machine.held))  # without work the supervisor is nobody's
                return _refuse(self._settings, detail)
            if what == "broken":
                self._end(f"the thread {detail} failed", stay=True)
                return EXIT_BROKEN
            way = _WAYS[signal.Signals(int(detail))]
            way = self._settings.on_stop if way == "stop" else way
            if way == "leave-running":
                return self._end("leaving everything running", stay=True)
            deadline = self._begin_stop(way, deadline)

    def _begin_stop(self, way: str, deadline: float | None) -> float | None:
        """Ask for the end; return the monotonic time at which the agent ends in any case."""
        log.logger().info(log.AGENT_STOPPING, way=way, holding=len(self._machine.held))
        self._services.heartbeat.drain()
        if way == "drain":
            self._post(StopRequested("drain"))
            return deadline
        specs = [execution.spec for execution in list(self._machine.held.values())]
        grace = max((spec.limits.grace_s for spec in specs if spec), default=0.0)
        again = deadline is not None
        self._post(StopRequested("now" if again else "return"))
        return time.monotonic() + self._settings.stop_patience_s + (0.0 if again else grace)

    def _await_left(self) -> None:
        self._services.heartbeat.left.wait()
        self._ends.put(("left", ""))

    def _end(self, why: str, *, stay: bool) -> int:
        """Stop all threads. With `stay` the supervisor and the jobs remain."""
        self._services.stop_talking()
        if not stay:
            self._services.supervisor.shutdown(0.0)
            secret_dirs.remove_home(self._paths)
        self._services.supervisor.close()
        self._event_loop.stop()
        self._services.api.close()
        patience = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, patience - time.monotonic()))
        log.logger().info(log.AGENT_STOPPED, why=why, holding=len(self._machine.held))
        return EXIT_OK

    def _thread(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except (GangerError, ServerRefused) as refusal:
                self._ends.put(("refused", str(refusal)))
            except BaseException:  # noqa: BLE001  one thread missing is worse than a new agent
                log.logger().exception(log.THREAD_FAILED, thread=name)
                self._ends.put(("broken", name))

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


def _listen() -> Ends:
    """Keep the signals that end this node from now on: one that comes during setup must not leave a supervisor alone."""
    ends: Ends = queue.SimpleQueue()
    for number in _WAYS:
        signal.signal(number, lambda got, _: ends.put(("signal", str(got))))
    return ends


def _open_journal(settings: NodeSettings) -> Journal:
    try:
        journal = Journal(settings.node_dir / "journal")
    except OSError as error:
        raise setup.unwritable(settings, error) from error
    if journal.torn:
        log.logger().warning(log.JOURNAL_TORN, lines=journal.torn)
    return journal


def _refuse(settings: NodeSettings, sentence: str) -> int:
    print(f"ganger: node {settings.name} cannot work: {sentence}", file=sys.stderr)  # noqa: T201  the one clear line
    return EXIT_SETUP
