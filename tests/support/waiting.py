"""Waiting for what another thread or process does, where nothing tells that it is done."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(reached: Callable[[], object], within_s: float = 30.0) -> None:
    """Return once `reached` is true; fail if that takes too long."""
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)  # there is no signal to wait for
