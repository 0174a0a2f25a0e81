"""Many short jobs and those who wait: cancel of 10,000, a more urgent job among 100,000, jobs of 100 ms, and 1,000 waiters.

One installation with a node of two slots, fsync on. Floors stand beside: for the urgent job one run time, for jobs of 100 ms what two
slots can do at all, and for the cancel the same number of rows updated by hand.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from contextlib import ExitStack
from typing import Any

import psycopg

from tests.bench.figures import figure, quantile, spread
from tests.bench.idle import _cpu, _database
from tests.bench.path import NORMAL
from tests.support.installation import Installation
from tests.support.servers import state_folder

CANCELED, CROWD, URGENT = 10_000, 100_000, 20
SHORT_S, LENGTH_S, LENGTHS = 0.05, 0.1, 200
WAITERS, WATCH_S = 1_000, 60.0
AT_ONCE = 10_000
_FLOW = 100
"""So many have ended before anything is measured: by then the predictor knows them, and nodes run ahead."""

_STARTED = "SELECT count(*) FROM executions WHERE job_started > %s"
_LATENCY = "SELECT x.job_started - j.created, x.job_completed - x.job_started FROM executions x JOIN jobs j ON j.id = x.job_id WHERE j.id = %s"
_SPAN = "SELECT max(x.job_completed) - min(x.job_started) FROM executions x WHERE x.job_id = ANY(%s)"
_BY_HAND = """
    UPDATE jobs SET last_modified = clock_timestamp()
    WHERE id IN (SELECT id FROM jobs WHERE status = 'CANCELED' LIMIT %s)
"""


def main() -> None:
    """Measure all, one after the other, on a fresh installation."""
    with state_folder() as root:
        installation = Installation(root, reads_answers=False, cpus=2, **NORMAL, GANGER_SUSPECT_S="10").start()
        try:
            with psycopg.connect(_database(installation), autocommit=True) as db:
                _lengths(installation, db)
                _cancel(installation, db)
                _urgent(installation, db)
                _waiters(installation)
        finally:
            installation.stop()


def _submit(installation: Installation, count: int, seconds: float, **more: Any) -> list[int]:
    body = {"command": ["/bin/sleep", str(seconds)], "cpus_required": 1, "mem_required": 16, "disk_out_required": 1}
    ids: list[int] = []
    for first in range(0, count, AT_ONCE):
        answer = installation.api.post("/jobs/", json=[{**body, **more}] * min(AT_ONCE, count - first))
        answer.raise_for_status()
        ids += answer.json()["job_ids"]
    return ids


def _flows(installation: Installation, db: psycopg.Connection, ids: list[int], count: int = _FLOW) -> None:
    statement = "SELECT count(*) FROM jobs WHERE id = ANY(%s) AND status = 'COMPLETED'"
    installation.until(lambda: _one(db, statement, ids[: 4 * count]) >= count or None, "short jobs to flow", 300)


def _one(db: psycopg.Connection, statement: str, *values: object) -> Any:
    row = db.execute(statement, values).fetchone()
    return row[0]  # type: ignore[index]  # each of them counts


def _operate(installation: Installation, answer: Any) -> None:
    """Return when a bulk operation is done."""
    answer.raise_for_status()
    if answer.status_code == 200:  # what is small is done at once
        return
    path = f"/operations/{answer.json()['id']}/"
    installation.until(lambda: installation.api.get(path).json()["status"] == "COMPLETED" or None, "the operation", 120)


def _lengths(installation: Installation, db: psycopg.Connection) -> None:
    _flows(installation, db, _submit(installation, 2 * _FLOW, LENGTH_S), 2 * _FLOW)
    ids = _submit(installation, LENGTHS, LENGTH_S)
    _flows(installation, db, ids, LENGTHS)
    seconds = _one(db, _SPAN, ids).total_seconds()
    figure("crowd", "jobs-of-100ms", LENGTHS * LENGTH_S / 2 / seconds, "of what two slots can do", jobs=LENGTHS)


def _cancel(installation: Installation, db: psycopg.Connection) -> None:
    _flows(installation, db, _submit(installation, CANCELED, SHORT_S))
    ahead = _one(db, "SELECT count(*) FROM executions WHERE is_ahead AND released_at IS NULL")
    began = time.perf_counter()
    _operate(installation, installation.api.post("/jobs/cancel/", json={"status": ["QUEUED", "RUNNING"]}))
    seconds = time.perf_counter() - began
    done = _one(db, "SELECT clock_timestamp()")
    count = _one(db, "SELECT count(*) FROM jobs WHERE status = 'CANCELED'")
    time.sleep(2.0)  # nothing tells that nothing starts any more
    began = time.perf_counter()
    db.execute(_BY_HAND, (count,))
    floor = time.perf_counter() - began
    figure("crowd", "cancel", seconds, "s", jobs=count, ahead=ahead, floor_s=round(floor, 3))
    figure("crowd", "cancel.started-after", _one(db, _STARTED, done), "executions")


def _urgent(installation: Installation, db: psycopg.Connection) -> None:
    began = time.perf_counter()
    _submit(installation, CROWD, SHORT_S)
    figure("crowd", "submit", CROWD / (time.perf_counter() - began), "jobs/s", jobs=CROWD)
    installation.until(lambda: _one(db, "SELECT count(*) FROM executions WHERE is_ahead") or None, "running ahead", 120)
    waited, ran = [], []
    for _ in range(URGENT):
        (job_id,) = _submit(installation, 1, SHORT_S, priority=1)
        installation.wait(job_id, within_s=120)
        row = db.execute(_LATENCY, (job_id,)).fetchone()
        assert row is not None
        waited.append(row[0].total_seconds())
        ran.append(row[1].total_seconds())
    spread("crowd", "urgent.submit-to-start", waited, jobs=CROWD)
    figure("crowd", "urgent.beyond-one-run", (quantile(waited, 0.5) - quantile(ran, 0.5)) * 1000, "ms", aim=50)
    began = time.perf_counter()
    _operate(installation, installation.api.post("/jobs/cancel/", json={"status": ["QUEUED", "RUNNING"]}))
    figure("crowd", "cancel-the-rest", time.perf_counter() - began, "s", jobs=CROWD)


def _waiters(installation: Installation) -> None:
    """Let 1,000 clients wait for jobs on which nothing happens, each anew when its wait is over."""
    ids = _submit(installation, WAITERS, SHORT_S, held=True)
    time.sleep(15.0)  # nothing tells that all rest again
    idle = _spent(installation, WATCH_S / 2)
    host, port = installation.ready["url"].removeprefix("http://").split(":")
    token = installation.api.headers["Authorization"]
    with ExitStack() as stack, selectors.DefaultSelector() as ready:
        for job_id in ids:
            head = (
                f"GET /jobs/{job_id}/?wait=30&known=QUEUED HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n"
            )
            client = stack.enter_context(socket.create_connection((host, int(port))))
            client.sendall(head.encode())
            ready.register(client, selectors.EVENT_READ, head.encode())
        answered = _keep(ready, 35.0)  # each has waited once: they are spread as they will be
        before = _cpu(installation)
        answered = _keep(ready, WATCH_S)
        spent = _cpu(installation) - before
    figure(
        "crowd", "waiters", (sum(spent.values()) / WATCH_S - idle) * 100, "% of a core", waiters=WAITERS,
        answers=answered, api=round(spent["api"] / WATCH_S * 100, 2), idle=round(idle * 100, 2), aim=5,
    )  # fmt: skip


def _spent(installation: Installation, seconds: float) -> float:
    before = _cpu(installation)
    time.sleep(seconds)  # likewise
    return sum((_cpu(installation) - before).values()) / seconds


def _keep(ready: selectors.BaseSelector, seconds: float) -> int:
    """Ask anew for each answer that comes within this time; return their number."""
    until, answers = time.monotonic() + seconds, 0
    seen: dict[int, bytes] = {}
    while (left := until - time.monotonic()) > 0:
        for key, _ in ready.select(left):
            client: Any = key.fileobj
            seen[key.fd] = seen.get(key.fd, b"") + client.recv(1 << 16)
            head, end, body = seen[key.fd].partition(b"\r\n\r\n")
            if end and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
                json.loads(body)
                seen[key.fd], answers = b"", answers + 1
                client.sendall(key.data)
    return answers


if __name__ == "__main__":
    main()
