"""Batches of claims and reports on their way to the API: one call at a time, everything that waits goes together.

A batch is repeated until it is answered, and the answer becomes an event. One thread for each kind of batch.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from scheduler import wire
from scheduler.errors import GangerError, NodeReplaced
from scheduler.identifiers import Epoch, NodeId
from workers import log
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable
from workers.events import ClaimAnswered, EpochReplaced, Event, ReportAnswered

T = TypeVar("T")

_MOST = 1000
"""Items in one call; the API takes five times as many."""
_GATHER_S = 0.008
"""A call that follows soon after another one waits this long for more items: it costs as much as some thirty of them."""
_LONGER_S = 0.025
"""It waits this long when the call before it carried several items."""
_COMPANY = 5
_FEW = 50
_IDLE_S = 0.05


class BatchSender(ABC, Generic[T]):
    """Sends items in order, and repeats each batch until it is answered."""

    def __init__(self) -> None:
        """Nothing is sent before `run`."""
        self._waiting: deque[T] = deque()
        self._change = threading.Condition()
        self._stopped = False

    @abstractmethod
    def _send(self, batch: Sequence[T]) -> None:
        """Make the call and post its answer. Raises what `ApiClient` raises; the batch is then sent again."""

    def put(self, items: Sequence[T]) -> None:
        """Send these items, after the ones that wait already."""
        with self._change:
            first = not self._waiting
            self._waiting.extend(items)
            if first or len(self._waiting) >= _FEW:  # in between, gathering is not disturbed
                self._change.notify()

    def clear(self) -> None:
        """Drop the items that are not sent yet."""
        with self._change:
            self._waiting.clear()

    def stop(self) -> None:
        """Let `run` return; the items that wait stay unsent."""
        with self._change:
            self._stopped = True
            self._change.notify()

    def run(self) -> None:
        """Send until stopped."""
        backoff, last, gather_s = JitteredBackoff(), 0.0, _GATHER_S
        while True:
            batch = self._take(last + _IDLE_S, gather_s)
            if not batch:
                return
            try:
                self._send(batch)
                backoff.reset()
            except (ServerUnreachable, ServerRefused, GangerError) as trouble:
                if not isinstance(trouble, ServerUnreachable):
                    log.logger().warning(log.API_REFUSED, why=str(trouble), items=len(batch))
                self._put_back(batch, backoff.wait_s())
            last, gather_s = time.monotonic(), _LONGER_S if len(batch) >= _COMPANY else _GATHER_S

    def _take(self, busy_until: float, gather_s: float) -> list[T]:
        with self._change:
            while not self._waiting and not self._stopped:
                self._change.wait()
            busy = time.monotonic() < busy_until
            if busy and len(self._waiting) < _FEW and not self._stopped:
                self._change.wait_for(lambda: self._stopped or len(self._waiting) >= _FEW, gather_s)
            if self._stopped:
                return []
            return [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]

    def _put_back(self, batch: list[T], wait_s: float) -> None:
        with self._change:
            self._waiting.extendleft(reversed(batch))
            self._change.wait_for(lambda: self._stopped, wait_s)


class ClaimBatcher(BatchSender[wire.ExecutionClaim]):
    """Claims placements for the node."""

    def __init__(
        self, api: ApiClient, identity: Callable[[], tuple[NodeId, Epoch]], post: Callable[[Event], None]
    ) -> None:
        """`identity` returns the node's id and epoch; `post` is called with each answer, from the thread of `run`."""
        super().__init__()
        self._api, self._identity, self._post = api, identity, post

    def _send(self, batch: Sequence[wire.ExecutionClaim]) -> None:
        node_id, epoch = self._identity()
        try:
            answer = self._api.claim(wire.ClaimBatch(node_id=node_id, epoch=epoch, claims=list(batch)))
        except NodeReplaced:
            self._post(EpochReplaced(epoch))
        else:
            self._post(ClaimAnswered(answer))


class ReportBatcher(BatchSender[wire.ExecutionReport]):
    """Reports how executions ended."""

    def __init__(
        self, api: ApiClient, identity: Callable[[], tuple[NodeId, Epoch]], post: Callable[[Event], None]
    ) -> None:
        """`identity` returns the node's id and epoch; `post` is called with each answer, from the thread of `run`."""
        super().__init__()
        self._api, self._identity, self._post = api, identity, post

    def _send(self, batch: Sequence[wire.ExecutionReport]) -> None:
        node_id, _ = self._identity()
        answer = self._api.report(wire.ReportBatch(node_id=node_id, reports=list(batch)))
        accepted = [(ref.execution_id, ref.attempt) for ref in answer.accepted]
        fenced = [(ref.execution_id, ref.attempt) for ref in answer.fenced]
        self._post(ReportAnswered(accepted, fenced))
