"""Dispatch: tells nodes of their placements, in one Celery message for each node and tick, without waiting for an answer.

The rows in PostgreSQL are the outbox: a message that is lost costs only latency, because the answer to the node's next
heartbeat has every placement that the node has not claimed. Therefore publishing has short time-outs, no retries and its
own thread: a broker that hangs delays no tick. While a broker is away, no message is kept for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from threading import Thread

from kombu import Connection, Producer

from scheduler.broker_protocol import PLACEMENT_TASK, RING_TASK, queue_name
from scheduler.events import BROKER_BACK, BROKER_TROUBLE, DELIVERY_DROPPED
from scheduler.log import log

TRANSPORT_OPTIONS = {
    # Without these, a half-open connection silences its owner for good.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
}

_BACKLOG = 1_000
"""Most deliveries that wait to be published; later ones are dropped, and heartbeats bring their news."""

_REST_S = 1.0
"""Pause after a failure, before the broker is tried again."""

_EXPIRES_S = 60
"""A message that is older than the claim deadline is out of date."""


@dataclass(frozen=True, slots=True)
class DispatchBatch:
    """Messages to publish together.

    `placements` has (execution id, attempt) by node name and epoch. `ring` names the nodes that are asked to send a
    heartbeat at once, because its answer has something new for them.
    """

    placements: Mapping[tuple[str, int], Sequence[tuple[int, int]]] = field(default_factory=dict)
    ring: Sequence[str] = ()


class Dispatcher:
    """Publishes deliveries in the background, over one connection that is opened again when it fails."""

    def __init__(self, broker_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._monotonic = broker_url, monotonic
        self._waiting: Queue[DispatchBatch | None] = Queue(_BACKLOG)
        self._producer: Producer | None = None
        self._resting_until: float | None = None
        self._thread = Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def deliver(self, delivery: DispatchBatch) -> None:
        """Hand over messages; returns at once and never raises."""
        try:
            self._waiting.put_nowait(delivery)
        except Full:
            log.warning(DELIVERY_DROPPED, nodes=len(delivery.placements) + len(delivery.ring))

    def ring(self, node_name: str) -> None:
        """Ask a node to send a heartbeat now, because its answer has news (a cancel, for instance)."""
        self.deliver(DispatchBatch(ring=(node_name,)))

    def stop(self, timeout_s: float = 5.0) -> None:
        """Publish the messages that wait, then end."""
        try:
            self._waiting.put(None, timeout=timeout_s)
        except Full:
            return  # the broker hangs; the thread ends with the process
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            if self._resting_until is not None and self._monotonic() < self._resting_until:
                continue
            try:
                self._publish(delivery)
            except Exception as trouble:  # noqa: BLE001 - any failure of the broker: it is full, loading, gone, or no broker at all
                self._rest(trouble)
            else:
                self._resume()
        self._disconnect()

    def _publish(self, delivery: DispatchBatch) -> None:
        producer = self._producer = self._producer or self._connect()
        for (name, epoch), placements in delivery.placements.items():
            publish(producer, queue_name(name), PLACEMENT_TASK, [epoch, [list(p) for p in placements]])
        for name in delivery.ring:
            publish(producer, queue_name(name), RING_TASK, [])

    def _rest(self, trouble: Exception) -> None:
        if self._resting_until is None:
            log.warning(BROKER_TROUBLE, trouble=str(trouble), remedy="placements reach nodes by their beats")
        self._resting_until = self._monotonic() + _REST_S
        self._disconnect()

    def _resume(self) -> None:
        if self._resting_until is not None:
            log.info(BROKER_BACK)
        self._resting_until = None

    def _connect(self) -> Producer:
        connection = Connection(self._url, transport_options=TRANSPORT_OPTIONS, connect_timeout=2)
        return Producer(connection.channel())

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.channel.connection.client.release()


def publish(producer: Producer, queue: str, task: str, arguments: Sequence[object]) -> None:
    """Put one Celery task message on a queue, through the default exchange: one LPUSH and no binding to lose."""
    import uuid  # noqa: PLC0415 - a message id is transport, not a decision

    task_id = str(uuid.uuid4())
    headers = {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "argsrepr": "", "kwargsrepr": ""}
    producer.publish(
        [list(arguments), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
        exchange="",
        routing_key=queue,
        serializer="json",
        headers=headers,
        correlation_id=task_id,
        expiration=_EXPIRES_S,
        retry=False,
    )
