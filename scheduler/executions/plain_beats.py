"""Heartbeats gathered over nodes: those that come while a statement is on its way go together with the next one.

Nobody waits for others to come: a heartbeat that comes alone goes alone, and a thousand a second go by a few statements.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from scheduler.identifiers import NodeId
from scheduler.rules.lifecycle import heartbeats
from scheduler.runtime import Runtime
from scheduler.store.nodes import beats
from scheduler.store.nodes.beats import HeardHeartbeat, PlainHeartbeat

MOST_AT_ONCE = 500
COUNTED_FOR_S = 10.0


class HeartbeatGathering:
    """The plain heartbeats of one process."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._lock = threading.Lock()
        self._waiting: list[tuple[PlainHeartbeat, Future[HeardHeartbeat | None]]] = []
        self._is_sending = False
        self._nodes, self._counted_until = 0, 0.0

    def hear(self, heartbeat: PlainHeartbeat) -> HeardHeartbeat | None:
        """Count a heartbeat; None if it says something new, or is not believed: then it has to be taken by itself."""
        answer: Future[HeardHeartbeat | None] = Future()
        with self._lock:
            self._waiting.append((heartbeat, answer))
            sends, self._is_sending = not self._is_sending, True
        if sends:
            self._send()
        return answer.result()

    def interval_s(self) -> float:
        """Return how often each node sends one, now that there are as many as there are."""
        if self._monotonic() >= self._counted_until:
            self._counted_until = self._monotonic() + COUNTED_FOR_S
            with self._rt.keyed.connect() as tx:
                self._nodes = beats.count_ready(tx)
        settings = self._rt.settings
        return heartbeats.interval_s(self._nodes, beat_s=settings.beat_s, lease_s=settings.lease_s)

    def _send(self) -> None:
        """Send what waits until nothing does; one thread at a time."""
        while True:
            with self._lock:
                batch = self._next()
                if not batch:
                    self._is_sending = False
                    return
            try:
                with self._rt.keyed.connect() as tx:
                    heard = beats.hear(tx, [heartbeat for heartbeat, _ in batch.values()])
            except BaseException as trouble:  # noqa: BLE001 - each of them is told
                for _, answer in batch.values():
                    answer.set_exception(trouble)
            else:
                for node_id, (_, answer) in batch.items():
                    answer.set_result(heard.get(node_id))

    def _next(self) -> dict[NodeId, tuple[PlainHeartbeat, Future[HeardHeartbeat | None]]]:
        """Take what waits, of each node one: two of a node would be one row twice."""
        batch: dict[NodeId, tuple[PlainHeartbeat, Future[HeardHeartbeat | None]]] = {}
        left = []
        for one in self._waiting:
            if len(batch) < MOST_AT_ONCE and one[0].node_id not in batch:
                batch[one[0].node_id] = one
            else:
                left.append(one)
        self._waiting = left
        return batch
