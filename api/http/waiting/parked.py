"""What a route raises to be parked, and what it is parked with. It knows neither the web framework nor the poller."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Response

    from scheduler.feed.change_feed import ChangeFeed, FeedInterest, Watch

AGAIN_AFTER_S = 0.05
"""A stream is fed at most so often."""


class WaitRoom:
    """The waits that a process may hold at one time; one caller has at most half of them."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._by_caller: Counter[int] = Counter()

    def take(self, caller: int) -> WaitShare | None:
        """Take room for one wait; None when there is none left, for all or for this caller."""
        with self._lock:
            if self._by_caller.total() >= self._most or self._by_caller[caller] >= self._most // 2:
                return None
            self._by_caller[caller] += 1
        return WaitShare(self, caller)

    def give_back(self, caller: int) -> None:
        """Give back the room of one wait."""
        with self._lock:
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]


@dataclass(slots=True)
class WaitShare:
    """The room of one wait."""

    room: WaitRoom
    caller: int
    is_held: bool = True

    def give_back(self) -> None:
        """Give it back; safe to repeat."""
        if self.is_held:
            self.is_held = False
            self.room.give_back(self.caller)


class Wait:
    """The wait of one request. `memo` keeps what the route wants to know when it is called again."""

    def __init__(self, wait_s: float) -> None:
        self._until = time.monotonic() + wait_s
        self.memo: Any = None
        self.share: WaitShare | None = None

    @property
    def left_s(self) -> float:
        """The seconds that are left."""
        return self._until - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the route has to answer now."""
        return self.left_s <= 0

    @contextmanager
    def watching(self, feed: ChangeFeed, interest: FeedInterest) -> Iterator[Watch | None]:
        """Watch while the route looks; None when the wait is over. The watch lives on if the request is parked."""
        if self.is_over:
            yield None
            return
        watch = feed.watch(interest)
        try:
            yield watch
        except ParkedRequest:
            raise
        except BaseException:
            feed.end(watch)
            raise
        else:
            feed.end(watch)

    def settle(self) -> None:
        """Give back what it holds: its request is answered. Safe to repeat."""
        if self.share is not None:
            self.share.give_back()


class ParkedRequest(BaseException):
    """Raised by a route whose request waits. It is no Exception: nothing on the way out may take it for an error.

    `head` is the answer for a wait that is over, but for its body, which `otherwise` gives then, on any thread; `count` counts it.
    """

    def __init__(
        self,
        wait: Wait,
        feed: ChangeFeed,
        watch: Watch,
        head: Response,
        otherwise: Callable[[], bytes],
        count: Callable[[], None],
    ) -> None:
        super().__init__()
        self.wait, self.feed, self.watch = wait, feed, watch
        self.head, self.otherwise, self.count = head, otherwise, count


@dataclass(slots=True)
class EventStream:
    """An answer without end: `more` gives its next bytes, None ends it. `beat` is sent by itself where `more` gives none."""

    interest: FeedInterest
    more: Callable[[], bytes | None]
    every_s: float = 15.0
    beat: bytes = b": still here\n\n"


class ParkedStream(BaseException):
    """Raised by a route whose answer is a stream that the poller feeds; `head` is the head of the answer."""

    def __init__(self, feed: ChangeFeed, stream: EventStream, head: Response, share: WaitShare) -> None:
        super().__init__()
        self.feed, self.stream, self.head, self.share = feed, stream, head, share
