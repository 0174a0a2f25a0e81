"""The wish of a job type or job after a try ran out of memory: more memory for the next try, up to a limit.

Written `{"mem_factor": 2000, "mem_max": 4096000}`: both in thousandths, the limit in MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Required, TypedDict, cast

from scheduler.documents import JsonValue

OUT_OF_MEMORY: Final = "out-of-memory"
_ONE: Final = 1_000


class _MemoryGrowth(TypedDict, total=False):
    """The wish as the API has checked it."""

    mem_factor: Required[int]
    mem_max: int | None


def next_mem(wish: Mapping[str, JsonValue] | None, error: str, mem: int, largest_node: int | None = None) -> int | None:
    """Return how much memory the next try gets, in thousandths of a MiB; None: as much as this one.

    None also for errors of another name, and for a job that has reached its limit. It never gets more than the largest
    node has that it could be placed on (None: there is none), or it would wait for ever.
    """
    if wish is None or error != OUT_OF_MEMORY:
        return None
    growth = cast("_MemoryGrowth", wish)
    grown = -(-mem * growth["mem_factor"] // _ONE)
    most = growth.get("mem_max")
    grown = min([grown, *(limit for limit in (most, largest_node) if limit is not None)])
    return grown if grown > mem else None


def sentence(before: int, after: int) -> str:
    """Return the sentence for the audit log."""
    return f"the next try asks for {_mib(after)} MiB of memory instead of {_mib(before)}"


def _mib(amount: int) -> str:
    whole, rest = divmod(amount, _ONE)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
