"""W3: what users and the scheduler ask, with 1,000 and 1,000,000 jobs waiting, and with 10,000,000 finished behind them.

The same requests, each in turn with a bare one (`SELECT 1` on the same way), on a real PostgreSQL and the real server; then ticks in this process,
each after a new job, with no room for it. Figures are the bare request's multiples, and how many times those of 1,000 they are: the aim
is 1.2. Finished jobs have one execution each. `--queued` and `--finished` make it smaller; ten million take some 40 GB.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg

from api.up.embedded import servers, state
from scheduler import runtime
from scheduler.admin import tokens
from scheduler.cluster_state import ClusterState
from scheduler.leader.tick import tick
from scheduler.settings import Settings
from scheduler.store.leader import lease
from scheduler.store.schema import migrations
from tests.bench.api import _NODES, _SHAPES, _TYPES, CHUNK, _Client, _server
from tests.bench.figures import figure, quantile
from tests.support.servers import state_folder

FEW, QUEUED, FINISHED = 1_000, 1_000_000, 10_000_000
ROUNDS, TICKS = 60, 20
TYPES, NODES = 20, 100
BODY = {"command": ["true"], "cpus_required": 60}

# A node holds less than any of these jobs asks for: they wait for good, and every tick looks at them.
_JOBS = """
    INSERT INTO jobs (id, project_id, job_type_id, revision_id, shape_id, status, max_tries, priority, cpus, mem, node_id,
                      disk_out, timeout_s, attempt, num_exes, result_attempt, created, queued, started, ended,
                      last_status_change, last_modified)
    SELECT n, 1, t.id, t.revision_id, t.shape_id, CASE WHEN n %% 50 = 0 AND %(done)s THEN 'FAILED' ELSE %(status)s END, 3, 100,
           1000, 64000, CASE WHEN %(done)s THEN 1 + n %% %(nodes)s::int END, 64000, 1800, %(done)s::int, %(done)s::int,
           CASE WHEN %(done)s THEN 1 END, at, at, CASE WHEN %(done)s THEN at END, CASE WHEN %(done)s THEN at END, at, at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    CROSS JOIN LATERAL (SELECT now() - make_interval(secs => (20000000 - n) * 0.1) AS at) AS moments
    JOIN (SELECT t.id, r.id AS revision_id, h.id AS shape_id, row_number() OVER (ORDER BY t.id) - 1 AS number
          FROM job_types t JOIN job_type_revisions r ON r.job_type_id = t.id JOIN shapes h ON h.job_type_id = t.id) AS t
      ON t.number = n %% (%(types)s::int + 1)
"""
_SPECS = """
    INSERT INTO job_specs (job_id, overrides)
    SELECT n, '{"command": ["true"]}' FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
_EXECUTIONS = """
    INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, created, released_at)
    SELECT n, 1, 1 + n %% %(nodes)s::int, 1, 'COMPLETED', 1000, 64000, 64000, 90, now() - interval '1 day', now() - interval '1 day'
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
# The rows are right by how they are made; to look up each reference of ten million would take most of the time.
_FAST = "SET session_replication_role = replica; SET synchronous_commit = off; SET statement_timeout = 0"


def main(*, queued: int = QUEUED, finished: int = FINISHED) -> None:
    """Fill in three steps, and ask the same after each."""
    with state_folder() as root:
        running = servers.prepare(state.prepare(root))
        running.start()
        try:
            url = running.database_url
            migrations.upgrade(url)
            token = tokens.ensure(url, kind="user", role="admin", project=None, name="bench", path=root / "token")
            base: dict[str, float] = {}
            last = 0
            with _server(url, root) as port, psycopg.connect(url, autocommit=True) as db:
                for statement in (_TYPES, _NODES, _SHAPES):
                    db.execute(statement, {"types": TYPES, "nodes": NODES})
                db.execute("UPDATE shapes SET cpus = 10000000")
                for depth, count, done in (
                    ("1000", FEW, False),
                    ("queued", queued, False),
                    ("finished", finished, True),
                ):
                    last = _fill(db, last, count, done=done)
                    found = _ask(_Client(port, token), last) | _ticks(url)
                    base = base or found
                    for name, value in found.items():
                        figure(
                            "depth", f"{depth}.{name}", value, "ms" if name == "tick" else "times select-1",
                            of_1000=round(value / base[name], 2), rows=last, aim=1.2,
                        )  # fmt: skip
        finally:
            running.stop()


def _fill(db: psycopg.Connection, last: int, count: int, *, done: bool) -> int:
    began = time.perf_counter()
    db.execute(_FAST)
    values = {"types": TYPES, "nodes": NODES, "done": done, "status": "COMPLETED" if done else "QUEUED"}
    last = max(last, db.execute("SELECT COALESCE(max(id), 0) FROM jobs").fetchone()[0])  # type: ignore[index]  # it is one row
    for first in range(last + 1, last + count + 1, CHUNK):
        span = {**values, "first": first, "last": min(first + CHUNK - 1, last + count)}
        for statement in (_JOBS, _SPECS, *([_EXECUTIONS] if done else [])):
            db.execute(statement, span)
    db.execute("SELECT setval(pg_get_serial_sequence('jobs', 'id'), %s)", (last + count,))
    db.execute("VACUUM ANALYZE")
    figure("depth", "fill", time.perf_counter() - began, "s", jobs=count)
    return last + count


def _ask(client: _Client, last: int) -> dict[str, float]:
    """Return by request its median as a multiple of the bare one's, each sent right after a bare one."""
    get: Callable[[str], Callable[[int], Any]] = lambda path: lambda _: client.send("GET", path)  # noqa: E731
    asked: dict[str, Callable[[int], Any]] = {
        "first-page": get("/jobs/?page_size=20"),
        "first-page.newest": get("/jobs/?page_size=20&order=-last_modified"),
        "filtered.status": get("/jobs/?page_size=20&status=QUEUED&order=-last_modified"),
        "filtered.failed": get("/jobs/?page_size=20&status=FAILED&order=-last_modified"),
        "filtered.type": get("/jobs/?page_size=20&job_type_name=type-3&order=-last_modified"),
        "filtered.node": get("/jobs/?page_size=20&node=host-7"),
        "count": get("/jobs/?page_size=1&status=QUEUED"),
        "groups": get("/jobs/groups/?group_by=status"),
        "queue": get("/queue/status/"),
        "overview": lambda _: _status(client),
        "executions": get("/job-executions/?page_size=20"),
        "search": get("/search/?q=777"),
        "detail": lambda n: client.send("GET", f"/jobs/{last - n * 13}/"),
        "explain": lambda n: client.send("GET", f"/jobs/{n * 7 + 1}/explain/"),
        "submit": lambda _: client.send("POST", "/jobs/", BODY),
    }
    return {name: _times(name, client, partial(request)) for name, request in asked.items()}


def _status(client: _Client) -> None:
    with suppress(RuntimeError):  # nobody leads here, which it says with 503
        client.send("GET", "/status/")


def _times(name: str, client: _Client, request: Callable[[int], Any]) -> float:
    began = time.perf_counter()
    request(0)
    first = time.perf_counter() - began
    if first > 1.0:
        figure("depth", f"{name}.first", first * 1000, "ms")
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(1, ROUNDS if first < 1.0 else ROUNDS // 10):
        for kind, send in (("bare", lambda _: client.send("GET", "/bench/select-1/")), ("asked", request)):
            began = time.perf_counter()
            send(number)
            seconds[kind].append(time.perf_counter() - began)
    return quantile(seconds["asked"], 0.5) / quantile(seconds["bare"], 0.5)


def _ticks(url: str) -> dict[str, float]:
    """Return the milliseconds of processor time and waiting of a tick that has one new job to look at; the first one reads all."""
    settings = Settings()
    engine = runtime.connect(url, settings)
    rt = runtime.Runtime(engine, settings, runtime.utc_now, lambda: 0.5)
    with engine.begin() as tx:
        term = lease.take_over(tx, "bench", lease.read(tx))
    assert term is not None
    state_of_all = ClusterState(settings)
    took = []
    for _ in range(TICKS + 1):
        with engine.begin() as tx:
            tx.exec_driver_sql("UPDATE jobs SET is_held = NOT is_held WHERE id = 1")
        began = time.perf_counter()
        tick(rt, state_of_all, term, lambda _: None)
        took.append(time.perf_counter() - began)
    engine.dispose()
    figure("depth", "tick.first", took[0] * 1000, "ms", queued=len(state_of_all.queue))
    return {"tick": quantile(took[1:], 0.5) * 1000}


if __name__ == "__main__":
    main()
