"""Retry: whether a job gets another try after one that failed, and when.

Exponential back-off with full jitter: the delay is drawn from the whole interval, so that jobs that failed together
do not come back together (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
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


def wanted(
    retry_on: Collection[str] | None, *, name: str, category: str, should_be_retried: bool, is_met: bool = False
) -> bool:
    """Return whether a job wants another try after this error.

    `retry_on` has what it says itself, categories and names of errors; None is what the error says. `is_met` says that the
    next try is made to meet the error, as after a lack of memory by asking for more.
    """
    if is_met:
        return True
    return should_be_retried if retry_on is None else name in retry_on or category in retry_on


def delay_s(tries: int, backoff: RetryBackoff, chance: Callable[[], float]) -> float:
    """Return the seconds to wait after the `tries`-th failed try: uniform between 0 and the grown ceiling."""
    assert tries >= 1, "a delay follows a try"
    # 2**60 overflows no float, and is past any limit.
    ceiling = min(backoff.limit_s, backoff.first_s * backoff.factor ** min(tries - 1, 60))
    return chance() * ceiling
