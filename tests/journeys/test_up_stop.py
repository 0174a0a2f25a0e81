"""The end of `ganger up` after a pool was scaled: its nodes hand back and leave, no try is charged, nothing stays."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.installation import Installation
from tests.support.pooling import all_completed, change, executions, ready, statuses, submit
from tests.support.servers import state_folder

pytestmark = pytest.mark.timeout(400)
POOL_NODES = 3


@pytest.fixture
def up() -> Iterator[Installation]:
    with state_folder(spaced=True) as root:
        made = Installation(root, cpus=2, GANGER_SCALING_S="0.25").start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop()


def test_the_nodes_of_a_scaled_pool_hand_back_and_leave_with_all_the_others(
    up: Installation, record_property: Any
) -> None:
    change(up, "default", size=1 + POOL_NODES)
    ready(up, "default", 1 + POOL_NODES)
    goes_on = up.root / "goes-on"
    script = f"test -e {shlex.quote(str(goes_on))} || exec sleep 300"
    ids = submit(up, "default", 14, "sh", "-c", script, cpus_required=0.5, max_tries=1)
    up.until(lambda: statuses(up, ids)["RUNNING"] == 4 + 2 * POOL_NODES or None, "all nodes to be full")
    started = count_of(up, "pool.start")
    began = time.monotonic()
    assert up.stop() == 0
    record_property("seconds to stop with three pool nodes", round(time.monotonic() - began, 1))
    assert up.left() == []
    assert processes_of(up.root) == []
    assert count_of(up, "pool.start") == started
    assert count_of(up, "supervisor.lost") == 0
    goes_on.touch()
    up.start()
    all_completed(up, ids)
    assert executions(up, ids)["FAILED"] == 0


def count_of(up: Installation, event: str) -> int:
    """Return how often an event stands in the logs of roles and nodes."""
    return sum(log.read_text(errors="replace").count(f'"{event}"') for log in (up.root / "logs").glob("*.log"))


def processes_of(root: Path) -> list[list[str]]:
    """Return the command lines that name the state folder: supervisors have no environment to be known by."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(word.startswith(str(root)) for word in words):
            found.append(words)
    return found
