"""Getting placements to nodes: one Celery message per node and tick, fire and forget.

The row in PostgreSQL *is* the outbox: a message that is lost costs latency only, because the node's next beat is
answered with every placement it has not claimed. So publishing has short time-outs, no retries, and its own thread:
a broker that hangs delays no tick. While a broker is away nothing is kept for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from threading import Thread

from kombu import Connection, Producer

from scheduler.events import BROKER_BACK, BROKER_TROUBLE, DELIVERY_DROPPED
from scheduler.log import log
from scheduler.wire import PLACEMENT_TASK, RING_TASK, queue_name

TRANSPORT_OPTIONS = {
    # Without these three a half-open connection silences its owner for good.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
}

_BACKLOG = 1_000
"""Deliveries waiting to be published; beyond that the oldest way (the beat) will do."""

_REST_S = 1.0
"""After a failure the broker is left alone so long."""

_EXPIRES_S = 60
"""A message older than a claim deadline says nothing true any more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages to publish together.

    `placements` has (execution id, attempt) by node name and epoch. `ring` names the nodes that are asked to send a
    heartbeat at once, because its answer has something new for them.
    """

    placements: Mapping[tuple[str, int], Sequence[tuple[int, int]]] = field(default_factory=dict)
    ring: Sequence[str] = ()


class Dispatcher:
    """Publishes deliveries in the background, over one long-lived connection that is made anew when it fails."""

    def __init__(self, broker_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._monotonic = broker_url, monotonic
        self._waiting: Queue[Delivery | None] = Queue(_BACKLOG)
        self._producer: Producer | None = None
        self._resting_until: float | None = None
        self._thread = Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def deliver(self, delivery: Delivery) -> None:
        """Hand over a tick's placements; returns at once and never raises."""
        try:
            self._waiting.put_nowait(delivery)
        except Full:
            log.warning(DELIVERY_DROPPED, nodes=len(delivery.placements) + len(delivery.ring))

    def ring(self, node_name: str) -> None:
        """Ask a node to beat now (there is something to hear, a cancel for instance)."""
        self.deliver(Delivery(ring=(node_name,)))

    def stop(self, timeout_s: float = 5.0) -> None:
        """Publish what is waiting, then end."""
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
            except Exception as trouble:  # noqa: BLE001 - whatever ails the broker: full, loading, gone, or no broker at all
                self._rest(trouble)
            else:
                self._go_on()
        self._hang_up()

    def _publish(self, delivery: Delivery) -> None:
        producer = self._producer = self._producer or self._connect()
        for (name, epoch), placements in delivery.placements.items():
            publish(producer, queue_name(name), PLACEMENT_TASK, [epoch, [list(p) for p in placements]])
        for name in delivery.ring:
            publish(producer, queue_name(name), RING_TASK, [])

    def _rest(self, trouble: Exception) -> None:
        if self._resting_until is None:
            log.warning(BROKER_TROUBLE, trouble=str(trouble), remedy="placements reach nodes by their beats")
        self._resting_until = self._monotonic() + _REST_S
        self._hang_up()

    def _go_on(self) -> None:
        if self._resting_until is not None:
            log.info(BROKER_BACK)
        self._resting_until = None

    def _connect(self) -> Producer:
        connection = Connection(self._url, transport_options=TRANSPORT_OPTIONS, connect_timeout=2)
        return Producer(connection.channel())

    def _hang_up(self) -> None:
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
