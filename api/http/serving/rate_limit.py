"""Rate limits: a number of requests a minute per token and per address, counted on the broker.

Each key holds one number, the moment up to which its allowance is used up (the generic cell rate algorithm): exact over
any window, the same for all processes and machines, both keys in one round trip. A broker that is away costs exactness,
never an answer: each process then counts by itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
import structlog
from flask import Flask, request
from werkzeug.exceptions import TooManyRequests

from scheduler.servers import broker_client
from scheduler.settings import Settings

MINUTE_S = 60.0
ANSWER_WITHIN_S = 0.2
LEAVE_ALONE_S = 5.0
"""A broker that did not answer is not asked again for so long."""

MAX_REMEMBERED = 10_000
HANDFUL_S, HANDFUL_SHARE = 1.0, 100
EXEMPT = ("/health/", "/node/")
"""Probes must tell the truth under load; nodes share a token and speak in batches at a pace that the scheduler sets."""

SCRIPT = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local wait, used = 0, {}
for n = 1, #KEYS do
    local allowed = tonumber(ARGV[n])
    used[n] = math.max(tonumber(redis.call('GET', KEYS[n]) or now), now) + 60000000 / allowed * tonumber(ARGV[#KEYS + n])
    wait = math.max(wait, used[n] - now - 60000000)
end
if wait > 0 then return math.ceil(wait) end
for n = 1, #KEYS do
    redis.call('SET', KEYS[n], string.format('%.0f', used[n]), 'PX', math.ceil((used[n] - now) / 1000))
end
return 0
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many requests a minute may be sent under a key; those of the whole minute may come at once."""

    key: str
    per_minute: int


class LocalCounter:
    """Allowances counted in this process alone. At most `MAX_REMEMBERED` keys are kept, the latest seen."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._used: OrderedDict[str, float] = OrderedDict()

    def spend(self, allowances: Sequence[RateLimit]) -> float:
        """Use up one request of each; return 0, or the seconds to wait when one has nothing left (then none is used)."""
        with self._lock:
            now = self._monotonic()
            used = {one.key: max(self._used.get(one.key, now), now) + MINUTE_S / one.per_minute for one in allowances}
            wait_s = max((moment - now - MINUTE_S for moment in used.values()), default=0.0)
            if wait_s > 0:
                return wait_s
            for key, moment in used.items():
                self._used[key] = moment
                self._used.move_to_end(key)
            while len(self._used) > MAX_REMEMBERED:
                self._used.popitem(last=False)
            return 0.0


class BrokerCounter:
    """Allowances counted on the broker, by `LocalCounter` while that is away."""

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = broker_client.connect(url, within_s=ANSWER_WITHIN_S)
        self._script: Any = self._client.register_script(SCRIPT)
        self._alone = LocalCounter(monotonic)
        self._ahead = CountedAhead()
        self._monotonic = monotonic
        self._away_until = -math.inf

    def spend(self, allowances: Sequence[RateLimit]) -> float:
        """As `LocalCounter.spend`, for all processes together.

        Who asks often has a handful of requests counted at once; what is left of it after a second is lost to him.
        """
        now = self._monotonic()
        if now >= self._away_until:
            short = [one for one in allowances if not self._ahead.take(one.key, now)]
            if not short:
                return 0.0
            try:
                sizes = [self._ahead.next_size(one, now) for one in short]
                waited = self._count(short, sizes)
                if waited > 0 and max(sizes) > 1:
                    sizes = [1] * len(short)
                    waited = self._count(short, sizes)
                if waited <= 0:
                    self._ahead.put(short, sizes, now)
                return waited / 1_000_000
            except (redis.RedisError, OSError) as error:
                log.warning("limits.alone", error=type(error).__name__)
                self._away_until = self._monotonic() + LEAVE_ALONE_S
        return self._alone.spend(allowances)

    def _count(self, allowances: Sequence[RateLimit], sizes: Sequence[int]) -> float:
        keys = [f"ganger:limit:{one.key}" for one in allowances]
        return float(self._script(keys=keys, args=[*(one.per_minute for one in allowances), *sizes]))


class CountedAhead:
    """Requests that were counted ahead, by key: at most a hundredth of the minute's allowance, and for a second only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[int, int, float]] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """Take one of a handful; False where none is left."""
        with self._lock:
            left, size, until = self._left.get(key, (0, 0, 0.0))
            if left < 1 or now >= until:
                return False
            self._left[key] = left - 1, size, until
            return True

    def next_size(self, one: RateLimit, now: float) -> int:
        """Return how many to count now: twice as many as last time if these went within a second, else one."""
        with self._lock:
            _, size, until = self._left.get(one.key, (0, 0, 0.0))
            return max(1, min(size * 2, one.per_minute // HANDFUL_SHARE)) if now < until else 1

    def put(self, allowances: Sequence[RateLimit], sizes: Sequence[int], now: float) -> None:
        """Keep what was counted, but for the request at hand."""
        with self._lock:
            for one, size in zip(allowances, sizes, strict=True):
                self._left[one.key] = size - 1, size, now + HANDFUL_S
                self._left.move_to_end(one.key)
            while len(self._left) > MAX_REMEMBERED:
                self._left.popitem(last=False)


def install(app: Flask, settings: Settings) -> None:
    """Answer 429 with Retry-After to whoever asks more often than the settings allow; nothing if they limit nothing."""
    if not settings.limit_requests:
        return
    url = settings.broker_url
    counter = LocalCounter() if url is None else BrokerCounter(url.get_secret_value())

    def check() -> None:
        if request.path.startswith(EXEMPT) or _was_counted():
            return
        wait_s = counter.spend(_allowances(settings))
        if wait_s > 0:
            raise TooManyRequests(
                "too many requests; try again after Retry-After seconds", retry_after=math.ceil(wait_s)
            )

    app.before_request(check)


@lru_cache(maxsize=1_000)
def _digest(sent: str) -> str:
    return hashlib.sha256(sent.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _was_counted() -> bool:
    """Tell whether this request was parked, and is looked at once more."""
    return getattr(request.environ.get("gunicorn.socket"), "wait", None) is not None


def _allowances(settings: Settings) -> list[RateLimit]:
    found = []
    if settings.proxies or not _is_this_machine(request.remote_addr):
        found.append(RateLimit(f"address:{request.remote_addr}", settings.requests_per_address))
    sent = request.headers.get("Authorization")
    if sent:
        digest = _digest(sent)
        found.append(RateLimit(f"token:{digest}", settings.requests_per_token))
    return found


@lru_cache(maxsize=1_000)
def _is_this_machine(address: str | None) -> bool:
    """Tell whether the peer is on this machine: then it may be a proxy that nobody told us of, and stands for many."""
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return True  # a socket of this machine
