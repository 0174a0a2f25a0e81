"""Pools: seconds from one node to four, a burst of 500 jobs from zero and back, and random sizes under load.

Real nodes on this machine, as `ganger up` has them, with the settings that it has by itself.
"""

from __future__ import annotations

import os
import time
from typing import Any

from tests.bench.figures import figure, spread
from tests.support.installation import Installation
from tests.support.pooling import (
    SMALL,
    all_completed,
    change,
    local_nodes,
    look,
    nodes,
    nothing_left,
    storm,
    submit,
    tries,
)
from tests.support.pooling import ready as ready_within
from tests.support.servers import state_folder

ROUNDS, BURST = 5, 500
NORMAL: dict[str, Any] = {"GANGER_BEAT_S": "2", "GANGER_LEASE_S": "90", "GANGER_SUSPECT_S": "10", "GANGER_UPKEEP_S": "1",
          "GANGER_API_WORKERS": "2", "GANGER_GRACE_S": "10", "GANGER_RETRY_FIRST_S": "1"}  # fmt: skip
WIDE = {"cpus": 16, "mem": 4096, "disk": 1024}


def main(changes: int = 0) -> None:
    """Measure growth and the burst; with `changes` also so many random sizes, which take about half a second each."""
    with state_folder() as root:
        installation = Installation(root, reads_answers=False, cpus=1, **NORMAL).start()
        try:
            _grow(installation)
            _burst(installation)
            if changes:
                _storm(installation, changes)
        finally:
            installation.stop()


def _grow(up: Installation) -> None:
    change(up, "default", size=1, template=SMALL)
    taken = []
    for _ in range(ROUNDS):
        ready_within(up, "default", 1)
        change(up, "default", size=4)
        taken.append(ready_within(up, "default", 4))
        change(up, "default", size=1)
    spread("scale", "one-to-four", taken, bar="< 3 s", load=os.getloadavg()[0])


def _burst(up: Installation) -> None:
    """From no node at all, with nothing set but the bounds: what an operator gets who asks for `--min 0 --max 3`."""
    _pool(up, "burst", min=0, max=3, template=WIDE)
    began = time.monotonic()
    ids = submit(up, "burst", BURST, "sleep", "1")
    up.until(lambda: look(up, "burst")["nodes"]["ready"] or None, "the first node", 60)
    figure("scale", "burst.first-node", time.monotonic() - began, "s", bar="< 5", jobs=BURST)
    all_completed(up, ids, 600)
    figure("scale", "burst.all-ended", time.monotonic() - began, "s")
    up.until(lambda: not nodes(up, "burst") and not local_nodes(up, "burst"), "the pool to be empty", 600)
    figure("scale", "burst.back-at-zero", time.monotonic() - began, "s")


def _storm(up: Installation, changes: int) -> None:
    _pool(up, "storm", size=0, template=SMALL)
    began = time.monotonic()
    ids = storm(up, "storm", changes=changes, seed=7)
    asked = time.monotonic() - began
    change(up, "storm", size=2)
    all_completed(up, ids, 600)
    more = sum(count for times, count in tries(up, ids).items() if times != 1)
    change(up, "storm", size=0)
    up.until(lambda: not nodes(up, "storm") and not local_nodes(up, "storm"), "the pool to be empty", 120)
    up.until(lambda: nothing_left(up, "storm"), "its processes to end")
    figure("scale", "storm.seconds", asked, "s", changes=changes, jobs=len(ids), load=os.getloadavg()[0])
    figure("scale", "storm.tries-lost", more, "jobs", bar="0")
    figure("scale", "storm.nodes-started", _started(up, "storm"), "nodes")


def _started(up: Installation, pool: str) -> int:
    """Return how many nodes were ever started for a pool."""
    count, link = 0, f"/pools/{pool}/events/?page_size=1000"
    while link:
        page = up.api.get(link).json()
        count += sum(len(event["detail"]["nodes"]) for event in page["results"] if event["event"] == "start")
        link = page["next"]
    return count


def _pool(up: Installation, name: str, **facts: object) -> None:
    answer = up.api.post("/pools/", json={"name": name, "drivers": [{"driver": "local"}], **facts})
    assert answer.status_code == 201, answer.text
