"""The exchange with the API: claims, starts and ends of executions, all that wait together, one call at a time.

A call is repeated until it is answered, and the answer becomes an event. While one is under way the next items gather by
themselves. Beyond that nothing is delayed while the node waits for an answer; while it has work ahead, a call is worth
more the more it carries. Then a start waits for one call more: most short jobs have ended by then, and the end says when it
began.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from scheduler import wire
from scheduler.errors import GangerError, NodeReplaced
from scheduler.identifiers import Epoch, NodeId
from workers import log
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable
from workers.events import EpochReplaced, Event, ExchangeAnswered

T = TypeVar("T")

_MOST = 1000
"""Items of one kind in one call; the API takes five times as many."""
_GATHER_S = 0.1
"""While the node has work ahead, calls are so far apart."""
_COMPANY_S = 0.008
"""A call that follows soon after one with several items waits this long for more: it costs as much as some thirty of them."""
_COMPANY = 5
_ENOUGH = 200
"""So many items are not kept waiting."""


@dataclass(slots=True)
class _Round:
    """The items of one call."""

    claims: list[wire.ExecutionClaim] = field(default_factory=list)
    starts: list[wire.ExecutionStart] = field(default_factory=list)
    reports: list[wire.ExecutionReport] = field(default_factory=list)
    hungry: bool = True

    def __len__(self) -> int:
        return len(self.claims) + len(self.starts) + len(self.reports)


class NodeExchanger:
    """Sends items in order, and repeats each call until it is answered."""

    def __init__(
        self, api: ApiClient, identity: Callable[[], tuple[NodeId, Epoch]], post: Callable[[Event], None]
    ) -> None:
        """`identity` returns the node's id and epoch; `post` is called with each answer, from the thread of `run`."""
        self._api, self._identity, self._post = api, identity, post
        self._claims: deque[wire.ExecutionClaim] = deque()
        self._starts: deque[wire.ExecutionStart] = deque()
        self._reports: deque[wire.ExecutionReport] = deque()
        self._fresh: deque[wire.ExecutionStart] = deque()
        self._change = threading.Condition()
        self._hurry = self._hungry = self._stopped = False

    def put(
        self,
        claims: Sequence[wire.ExecutionClaim] = (),
        starts: Sequence[wire.ExecutionStart] = (),
        reports: Sequence[wire.ExecutionReport] = (),
        *,
        hungry: bool = True,
    ) -> None:
        """Send these items, after the ones that wait already; unless it is `hungry` the node has enough to do meanwhile.

        Claims never wait, for there may be room for what they ask; that alone does not make a node hungry.
        """
        hurry = hungry or bool(claims)
        with self._change:
            asleep = not self._count()
            self._claims.extend(claims)
            self._fresh.extend(starts)
            self._reports.extend(reports)
            woken = hurry and not self._hurry
            self._hurry |= hurry
            self._hungry |= hungry
            if asleep or woken or self._count() >= _ENOUGH:  # in between, gathering is not disturbed
                self._change.notify()

    def drop_claims(self) -> None:
        """Drop the claims that are not sent yet."""
        with self._change:
            self._claims.clear()

    def stop(self) -> None:
        """Let `run` return; the items that wait stay unsent."""
        with self._change:
            self._stopped = True
            self._change.notify()

    def run(self) -> None:
        """Send until stopped."""
        backoff, last, company = JitteredBackoff(), 0.0, False
        while True:
            together = self._take(last, company=company)
            if together is None:
                return
            last = time.monotonic()
            if not together:
                continue  # starts that may go with their ends
            try:
                self._send(together)
                backoff.reset()
            except (ServerUnreachable, ServerRefused, GangerError) as trouble:
                if not isinstance(trouble, ServerUnreachable):
                    log.logger().warning(log.API_REFUSED, why=str(trouble), items=len(together))
                self._put_back(together, backoff.wait_s())
            company = len(together) >= _COMPANY

    def _send(self, together: _Round) -> None:
        node_id, epoch = self._identity()
        message = wire.NodeExchange(
            node_id=node_id,
            epoch=epoch,
            now=time.time(),
            claims=together.claims,
            starts=together.starts,
            reports=together.reports,
            hungry=together.hungry,
        )
        try:
            answer = self._api.exchange(message)
        except NodeReplaced:
            self._post(EpochReplaced(epoch))
        else:
            self._post(ExchangeAnswered(answer, epoch))

    def _take(self, last: float, *, company: bool) -> _Round | None:
        with self._change:
            self._change.wait_for(lambda: self._stopped or self._count() > 0)
            now = time.monotonic()
            self._change.wait_for(self._is_due, max(0.0, last + _GATHER_S - now))
            if company and not self._stopped and self._count() < _ENOUGH and now < last + _GATHER_S:
                self._change.wait_for(lambda: self._stopped or self._count() >= _ENOUGH, _COMPANY_S)
            if self._stopped:
                return None
            hungry, self._hungry, self._hurry = self._hungry, False, False
            reports = _pop(self._reports)
            ended = {(one.execution_id, one.attempt) for one in reports}
            if hungry:
                self._ripen()
            # Start and end of a short job are one message: the end says when it started.
            starts = [one for one in _pop(self._starts) if (one.execution_id, one.attempt) not in ended]
            self._fresh = deque(one for one in self._fresh if (one.execution_id, one.attempt) not in ended)
            self._ripen()
            return _Round(_pop(self._claims), starts, reports, hungry)

    def _ripen(self) -> None:
        """What has started since the last call may be told from now on."""
        self._starts.extend(self._fresh)
        self._fresh.clear()

    def _is_due(self) -> bool:
        return self._stopped or self._hurry or self._count() >= _ENOUGH

    def _count(self) -> int:
        return len(self._claims) + len(self._fresh) + len(self._starts) + len(self._reports)

    def _put_back(self, together: _Round, wait_s: float) -> None:
        with self._change:
            self._claims.extendleft(reversed(together.claims))
            self._starts.extendleft(reversed(together.starts))
            self._reports.extendleft(reversed(together.reports))
            self._hurry = True
            self._hungry |= together.hungry
            self._change.wait_for(lambda: self._stopped, wait_s)


def _pop(items: deque[T]) -> list[T]:
    return [items.popleft() for _ in range(min(_MOST, len(items)))]
