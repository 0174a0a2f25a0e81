"""Waiting for what another thread or process does, where nothing tells that it is done."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable


def eventually(reached: Callable[[], object], within_s: float = 30.0) -> None:
    """Return once `reached` is true; fail if that takes too long."""
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)  # there is no signal to wait for


def readable(descriptors: Iterable[int], within_s: float) -> list[int]:
    """Return those with something to read, or whose process or other end is gone; empty when `within_s` is over.

    `select.select` does not do: it refuses descriptors beyond 1,023, and a test process may have more.
    """
    looks = select.poll()
    for descriptor in descriptors:
        looks.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in looks.poll(within_s * 1000)]


def until_gone(pid: int, within_s: float = 10.0) -> None:
    """Wait for a process that is not our child, or is one that nobody has reaped."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert readable([process], within_s), f"process {pid} is still there"
    finally:
        os.close(process)
