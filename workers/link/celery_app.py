"""Celery as Ganger uses it on a node: one queue, JSON only, nothing kept, nothing controlled from outside.

Celery only carries messages. Every setting below takes away something that could decide, remember or be attacked. The
three socket options make a half-open connection fail; without them it would silence the consumer for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from celery import Celery
from kombu import Exchange, Queue

from scheduler import broker_protocol
from scheduler.broker_protocol import CANARY_TASK, PLACEMENT_TASK, RING_TASK, queue_name

OnPlacements = Callable[[int, Sequence[Sequence[int]]], None]
OnRing = Callable[[], None]
OnCanary = Callable[[int], None]


def node_queue(node: str) -> Queue:
    """Return a node's queue. It is on the default exchange, whose routing needs no stored bindings.

    Celery would put it on an exchange of its own, and store a binding for that; so the queue is not declared at all.
    """
    name = queue_name(node)
    return Queue(name, Exchange(""), routing_key=name, no_declare=True)


def make(node: str, broker_url: str, prefix: str) -> Celery:
    """Return the application of one node."""
    app = Celery("ganger", broker=broker_url, set_as_current=False)
    transport = {
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 5,
        **broker_protocol.unacknowledged_keys(node),
    }
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_pool_limit=2,
        broker_transport_options={**transport, "global_keyprefix": prefix} if prefix else transport,
        enable_utc=True,
        result_backend=None,
        task_acks_late=False,
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_queues=[node_queue(node)],
        task_serializer="json",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
    )
    return app


def register_tasks(app: Celery, on_placements: OnPlacements, on_ring: OnRing, on_canary: OnCanary) -> None:
    """Let the three kinds of message call these functions; whatever else arrives is dropped by Celery itself."""
    app.task(name=PLACEMENT_TASK, ignore_result=True, shared=False)(on_placements)
    app.task(name=RING_TASK, ignore_result=True, shared=False)(on_ring)
    app.task(name=CANARY_TASK, ignore_result=True, shared=False)(on_canary)


def send_canary(app: Celery, node: str, number: int, expires_s: float) -> None:
    """Publish a canary to the node's own queue. Raises whatever the transport raises when the broker is away."""
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        app.send_task(
            CANARY_TASK, args=[number], queue=node_queue(node), connection=connection, retry=False, expires=expires_s
        )
