"""Getting placements to nodes: one Celery message per node and tick, fire and forget.

The row in PostgreSQL *is* the outbox: a message that is lost costs latency only, because the node's next beat is
answered with every placement it has not claimed. So publishing has short time-outs, no retries, and its own thread:
a broker that hangs delays no tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from queue import Full, Queue
from threading import Thread

from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from scheduler.log import log
from scheduler.wire import PLACEMENT_TASK, queue_name

TRANSPORT_OPTIONS = {
    # Without these three a half-open connection silences its owner for good.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
}

_BACKLOG = 10_000
"""Messages waiting to be published; beyond that the oldest way (the beat) will do."""

_EXPIRES_S = 60
"""A message older than a claim deadline says nothing true any more."""

Delivery = Mapping[tuple[str, int], Sequence[tuple[int, int]]]
"""(node name, epoch) -> its placements as (execution id, attempt)."""


class Courier:
    """Publishes deliveries in the background, over one long-lived connection that is made anew when it fails."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._waiting: Queue[Delivery | None] = Queue(_BACKLOG)
        self._producer: Producer | None = None
        self._down = False
        self._thread = Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def deliver(self, delivery: Delivery) -> None:
        """Hand over a tick's placements; returns at once and never raises."""
        try:
            self._waiting.put_nowait(delivery)
        except Full:
            log.warning("delivery.dropped", nodes=len(delivery))

    def ring(self, node_name: str) -> None:
        """Ask a node to beat now (there is something to hear, a cancel for instance)."""
        self.deliver({(node_name, 0): ()})

    def stop(self, timeout_s: float = 5.0) -> None:
        """Publish what is waiting, then end."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            for (name, epoch), placements in delivery.items():
                self._publish(name, epoch, placements)

    def _publish(self, name: str, epoch: int, placements: Sequence[tuple[int, int]]) -> None:
        try:
            producer = self._producer = self._producer or self._connect()
            publish(producer, queue_name(name), PLACEMENT_TASK, [epoch, [list(p) for p in placements]])
        except (OperationalError, OSError) as trouble:
            self._producer = None
            if not self._down:
                log.warning("broker.unreachable", trouble=str(trouble), remedy="placements reach nodes by their beats")
            self._down = True
        else:
            if self._down:
                log.info("broker.back")
            self._down = False

    def _connect(self) -> Producer:
        connection = Connection(self._url, transport_options=TRANSPORT_OPTIONS, connect_timeout=2)
        return Producer(connection.channel())


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
