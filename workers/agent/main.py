"""One node's life: opens its folder, finds or starts its supervisor, takes up what an earlier life left, serves, stops.

A node that the scheduler drains finishes and leaves by itself. The first SIGTERM or SIGINT hands all work back and
leaves; a second one does so without grace. SIGUSR1 exits at once and leaves supervisor and jobs running for the next
agent. SIGUSR2 finishes what is here, then leaves. kill -9 is like SIGUSR1 without the good manners.
"""

from __future__ import annotations

import os
import queue
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from scheduler import wire
from scheduler.errors import GangerError, NodeReplaced, SetupError
from workers import log
from workers.agent import setup
from workers.agent.context import NodeProfile
from workers.agent.event_loop import EventLoop, NodeServices
from workers.agent.foreman import Foreman
from workers.agent.setup import NodeSetup
from workers.agent.state_machine import StateMachine
from workers.agent.supervision import SupervisorLostError, SupervisorVersionError
from workers.api_client import Api, ServerRefused
from workers.events import ClaimAnswered, Replaced, ReportAnswered, Shipped, StopRequested
from workers.files import secret_dirs
from workers.files.staging import StagingResources
from workers.files.work_dirs import WorkDirs
from workers.journal import Journal
from workers.link.batches import Batcher
from workers.link.heartbeat import Heartbeat, NodeInterface
from workers.link.inbox import PlacementInbox
from workers.machine import privacy, probe
from workers.output.log_file_pool import LogFilePool
from workers.output.progress import ProgressTracker
from workers.output.shipper import Shipper
from workers.settings import NodeSettings

EXIT_OK: Final = 0
EXIT_SETUP: Final = 2
EXIT_BROKEN: Final = 70
"""Something that must not happen has happened; jobs go on, and whoever starts agents should start another."""

_JOIN_S: Final = 1.0
"""For threads to come to rest at the end; one that waits for the network is not waited for."""

_WAYS: Final = {
    signal.SIGTERM: "stop",
    signal.SIGINT: "stop",
    signal.SIGUSR1: "leave-running",
    signal.SIGUSR2: "drain",
}


def run(settings: NodeSettings) -> int:
    """Be this node until told to stop; return the exit code. To be called in the main thread, once per process."""
    log.configure(settings.log_level)
    privacy.close()
    try:
        node_setup = setup.open_up(settings)
        agent = Agent(settings, node_setup)
    except SetupError as error:
        return _refuse(settings, str(error))
    except SupervisorVersionError as error:
        return _refuse(settings, f"The supervisor that runs here is of another release: {error}.")
    except SupervisorLostError as error:
        return _refuse(settings, f"The supervisor cannot be started: {error}.")
    return agent.live()


class Agent:
    """All parts of one node, wired together."""

    def __init__(self, settings: NodeSettings, node_setup: NodeSetup) -> None:
        """Read the journal and reach the supervisor; nothing runs yet. Raises SetupError, SupervisorLostError."""
        self._settings, self._node_setup = settings, node_setup
        try:
            self._journal = Journal(settings.node_dir / "journal")
            self._work_dirs, self._log_files = WorkDirs(node_setup.paths.work), LogFilePool(node_setup.paths.logs)
            self._staging_resources = StagingResources(
                settings.name, Path(node_setup.paths.work) / ".images", setup.cache(settings, node_setup)
            )
        except OSError as error:
            raise SetupError(f"The node's folder {settings.node_dir} cannot be written: {error.strerror}.") from error
        if self._journal.torn:
            log.logger().warning(log.JOURNAL_TORN, lines=self._journal.torn)
        profile = NodeProfile(
            settings.name,
            node_setup.paths,
            node_setup.user,
            node_setup.slots,
            tuple(gpu.index for gpu in node_setup.gpus),
        )
        self._machine = StateMachine(profile, lambda: secrets.token_hex(16), self._journal.facts())
        self._runners, self._lacks = setup.runners(node_setup)
        self._boot_id = settings.boot_id or probe.boot_id()
        self._ends: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._event_loop = EventLoop(self._machine, self._journal)
        self._foreman = Foreman(settings.node_dir, settings.tree, self._event_loop.post)
        self._api = Api(settings.api_url, settings.token)
        self._progress = ProgressTracker()
        self._heartbeat = Heartbeat(self._api, self._node(), self._progress)
        self._placement_inbox = PlacementInbox(settings, self._event_loop.post, self._heartbeat.nudge)
        self._shipper = Shipper(
            self._api,
            node_setup.paths,
            self._progress,
            lambda: self._heartbeat.identity[0],
            lambda key: self._event_loop.post(Shipped(key)),
        )
        self._claims: Batcher[wire.ExecutionClaim] = Batcher(self._claim)
        self._reports: Batcher[wire.ExecutionReport] = Batcher(self._report)

    def live(self) -> int:
        """Serve until stopped; return the exit code."""
        setup.clear_out(self._node_setup.paths, self._machine.held.keys())
        for number in _WAYS:
            signal.signal(number, lambda got, _: self._ends.put(("signal", str(got))))
        log.logger().info(log.AGENT_STARTED, node=self._settings.name, held=len(self._machine.held), pid=os.getpid())
        services = NodeServices(
            self._api,
            self._node_setup.paths,
            self._work_dirs,
            self._log_files,
            self._staging_resources,
            self._foreman,
            self._heartbeat,
            self._shipper,
            self._progress,
            self._claims,
            self._reports,
            ThreadPoolExecutor(self._settings.stagers, "stager"),
            ThreadPoolExecutor(self._settings.stagers, "collector"),
            ThreadPoolExecutor(1, "remover"),
        )
        self._event_loop.use_services(services)
        for name, work in {
            "heart": self._event_loop.run,
            "events": self._foreman.run_events,
            "orders": self._foreman.run_orders,
            "liaison": self._heartbeat.run,
            "claims": self._claims.run,
            "reports": self._reports.run,
            "shipper": self._shipper.run,
            "bell": self._placement_inbox.run_socket,
            "consumer": self._placement_inbox.run_consumer,
        }.items():
            self._thread(name, work)
        threading.Thread(target=self._await_left, daemon=True).start()
        return self._serve()

    def _serve(self) -> int:
        """Wait for whatever ends the agent, and end it accordingly."""
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
                self._end(detail, stay=True)
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
        """Ask for the end; return when (monotonic) to end regardless."""
        log.logger().info(log.AGENT_STOPPING, way=way, holding=self._event_loop.holding)
        self._heartbeat.draining = True
        self._heartbeat.nudge()
        if way == "drain":
            self._event_loop.post(StopRequested("drain"))
            return deadline
        grace = max((one.spec.limits.grace_s for one in list(self._machine.held.values()) if one.spec), default=0.0)
        again = deadline is not None
        self._event_loop.post(StopRequested("now" if again else "return"))
        return time.monotonic() + self._settings.stop_patience_s + (0.0 if again else grace)

    def _await_left(self) -> None:
        self._heartbeat.left.wait()
        self._ends.put(("left", ""))

    def _end(self, why: str, *, stay: bool) -> int:
        """Stop all threads; with `stay` supervisor and jobs remain."""
        self._placement_inbox.close()
        for part in (self._claims, self._reports, self._heartbeat, self._shipper):
            part.stop()
        if not stay:
            self._foreman.shutdown(0.0)
            secret_dirs.leave(self._node_setup.paths)
        self._foreman.close()
        self._event_loop.stop()
        self._api.close()
        patience = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, patience - time.monotonic()))
        log.logger().info(log.AGENT_STOPPED, why=why, holding=self._event_loop.holding)
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

    def _claim(self, claims: Sequence[wire.ExecutionClaim]) -> None:
        node_id, epoch = self._heartbeat.identity
        try:
            answer = self._api.claim(wire.ClaimBatch(node_id=node_id, epoch=epoch, claims=list(claims)))
        except NodeReplaced:
            self._event_loop.post(Replaced(epoch))
        else:
            self._event_loop.post(ClaimAnswered(answer))

    def _report(self, reports: Sequence[wire.ExecutionReport]) -> None:
        answer = self._api.report(wire.ReportBatch(node_id=self._heartbeat.identity[0], reports=list(reports)))
        self._event_loop.post(
            ReportAnswered(
                [(ref.execution_id, ref.attempt) for ref in answer.accepted],
                [(ref.execution_id, ref.attempt) for ref in answer.fenced],
            )
        )

    def _node(self) -> NodeInterface:
        return NodeInterface(
            introduction=self._introduction,
            trouble=self._trouble,
            holding=lambda: self._event_loop.holding,
            load=probe.load,
            lease=self._foreman.lease,
            post=self._event_loop.post,
        )

    def _introduction(self, held: list[wire.HeldExecution]) -> wire.NodeRegistration:
        return wire.NodeRegistration(
            name=self._settings.name,
            pool=self._settings.pool,
            hostname=probe.hostname(),
            boot_id=self._boot_id,
            disk_id=self._node_setup.disk_id,
            amounts=probe.amounts(self._settings, self._node_setup.gpus, self._staging_resources.cache),
            labels=probe.labels(self._settings, self._runners, self._node_setup.gpus),
            version=probe.version(),
            powers=self._foreman.powers | self._lacks,
            held=held,
        )

    def _trouble(self) -> str | None:
        if self._event_loop.journal_trouble is not None:
            return self._event_loop.journal_trouble
        if self._foreman.stuck:
            return f"processes that cannot be killed: {', '.join(sorted(self._foreman.stuck)[:5])}"
        return probe.trouble(self._settings, self._node_setup.paths.work)


def _refuse(settings: NodeSettings, sentence: str) -> int:
    print(f"ganger: node {settings.name} cannot work: {sentence}", file=sys.stderr)  # noqa: T201  the one clear line
    return EXIT_SETUP
