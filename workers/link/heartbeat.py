"""The heartbeat of a node: it registers, gives signs of life, and signs off. It has a thread of its own.

The lease of every execution here counts from the last heartbeat that was answered, and from the moment at which that
heartbeat was sent: by the node's clock alone, and never later than the scheduler counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from scheduler import wire
from scheduler.errors import GangerError, NodeReplaced
from scheduler.identifiers import Epoch, NodeId
from workers import log
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable
from workers.events import EpochReplaced, Event, HealthChanged, HeartbeatAnswered, RegistrationAnswered
from workers.output.progress import ProgressTracker
from workers.output.usage import UsageTracker

_LONGEST_WAIT_S = 5.0
"""Longest wait between tries while the scheduler is away. Leases run meanwhile, so a heartbeat must follow soon after
the scheduler is back."""


@dataclass(frozen=True, slots=True)
class NodeInterface:
    """The questions of the heartbeat to the node, and its news for the node. It calls these functions from its own thread."""

    registration: Callable[[list[wire.HeldExecution]], wire.NodeRegistration]
    trouble: Callable[[], str | None]
    count_held: Callable[[], int]
    load: Callable[[], dict[str, float]]
    lease: Callable[[float], None]
    registered: Callable[[wire.Registered], None]
    post: Callable[[Event], None]


class Heartbeat:
    """Speaks for one node. `identity` is (node id, epoch) once it is registered, and (0, 0) before."""

    def __init__(self, api: ApiClient, node: NodeInterface, progress: ProgressTracker, usage: UsageTracker) -> None:
        self._api, self._node = api, node
        self._content = _HeartbeatContent(node, progress, usage)
        self._held: list[wire.HeldExecution] | None = None
        self._leaving = self._stopped = False
        self._wake = threading.Event()
        self._beat_s = 2.0
        self._beating = False
        self.identity = NodeId(0), Epoch(0)
        self.left = threading.Event()

    def register(self, held: list[wire.HeldExecution]) -> None:
        """Register the node (again), then send heartbeats."""
        self._held, self._beating = held, False
        self._wake.set()

    def leave(self) -> None:
        """Sign off and set `left`."""
        self._leaving = True
        self._wake.set()

    def drain(self) -> None:
        """Tell the scheduler from now on that the node leaves when its executions are over."""
        self._content.draining = True
        self.nudge()

    def nudge(self) -> None:
        """Send a heartbeat now: something has changed that the scheduler should know."""
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        """Register when asked, then send heartbeats until stopped. Raises the refusal of the very first registration."""
        backoff, accepted = JitteredBackoff(0.5, _LONGEST_WAIT_S), False
        while not self._stopped:
            wait = self._beat_s
            try:
                self._speak()
                backoff.reset()
                accepted = accepted or self._beating
            except NodeReplaced:
                self._beating = False
                self._node.post(EpochReplaced(self.identity[1]))
            except ServerUnreachable:
                wait = backoff.wait_s()
            except (ServerRefused, GangerError) as refusal:
                if not accepted:
                    raise
                log.logger().warning(log.API_REFUSED, why=str(refusal))
                wait = backoff.wait_s()
            if not self._stopped:
                self._wake.wait(wait)
                self._wake.clear()

    def _speak(self) -> None:
        held = self._held
        if self._leaving:
            if self._beating and not self.left.is_set():
                self._api.leave(*self.identity)
                log.logger().info(log.NODE_LEFT)
            self.left.set()
            return
        if held is not None:
            self._send_registration(held)
        if self._beating:
            self._beat()

    def _send_registration(self, held: list[wire.HeldExecution]) -> None:
        sent = time.clock_gettime(time.CLOCK_BOOTTIME)
        registration = self._node.registration(held)
        answer = self._api.register(registration)
        self._held = None
        self.identity = (answer.node_id, answer.epoch)
        self._beat_s, self._beating = answer.beat_s, True
        log.logger().info(log.NODE_REGISTERED, node=answer.node_id, epoch=answer.epoch, held=len(held))
        self._node.lease(sent)
        self._node.registered(answer)
        self._node.post(RegistrationAnswered(answer, sent, registration.amounts))

    def _beat(self) -> None:
        beat = self._content.take(*self.identity)
        sent = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            answer = self._api.beat(beat)
        except BaseException:
            self._content.put_back(beat)
            raise
        self._beat_s = answer.beat_s or self._beat_s
        self._node.lease(sent)
        self._node.post(HeartbeatAnswered(answer, sent))


class _HeartbeatContent:
    """The state of the node as the next heartbeat tells it."""

    def __init__(self, node: NodeInterface, progress: ProgressTracker, usage: UsageTracker) -> None:
        self._node, self._progress, self._usage = node, progress, usage
        self._trouble: str | None = None
        self.draining = False

    def take(self, node_id: NodeId, epoch: Epoch) -> wire.HeartbeatBody:
        """Make the next heartbeat, with all progress since the last one. A change of the node's health is posted, too."""
        trouble = self._node.trouble()
        if trouble != self._trouble:
            self._trouble = trouble
            self._node.post(HealthChanged(trouble))
        return wire.HeartbeatBody(
            node_id=node_id,
            epoch=epoch,
            holding=self._node.count_held(),
            degraded=trouble,
            draining=self.draining,
            load={**self._node.load(), wire.CLOCK: time.time()},
            progress=self._progress.take_changes(),
            usage=self._usage.take(),
        )

    def put_back(self, beat: wire.HeartbeatBody) -> None:
        """The heartbeat did not arrive: the next one tells its progress again, where it has not changed since, and its samples."""
        self._progress.put_back(beat.progress)
        self._usage.put_back(beat.usage)
