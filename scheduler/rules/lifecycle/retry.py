"""Retry: whether a job gets another try after one that failed, and when.

Exponential back-off with full jitter: the delay is drawn from the whole interval, so that jobs that failed together
do not come back together (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryBackoff:
    """Seconds: the first ceiling, the factor by which it grows, and where it stops growing."""

    first_s: float = 1.0
    factor: float = 2.0
    limit_s: float = 300.0


def may_try_again(*, num_exes: int, forgiven: int, max_tries: int, should_be_retried: bool) -> bool:
    """Return whether a job whose try has just failed gets another. A forgiven try does not count."""
    return should_be_retried and num_exes - forgiven < max_tries


def delay_s(tries: int, backoff: RetryBackoff, chance: Callable[[], float]) -> float:
    """Return the seconds to wait after the `tries`-th failed try: uniform between 0 and the grown ceiling."""
    assert tries >= 1, "a delay follows a try"
    # 2**60 overflows no float, and is past any limit.
    ceiling = min(backoff.limit_s, backoff.first_s * backoff.factor ** min(tries - 1, 60))
    return chance() * ceiling
