"""The HTTP API with a million jobs in the table: each request as p50 and p99, and as ratio to a bare SELECT 1.

A real PostgreSQL (with fsync, as `ganger up` starts it) and the real server in a process of its own; one client, one
request at a time, on a kept connection. The bare request takes the same way: route, token, transaction, `SELECT 1`; it
is sent in turn with each of the others.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from api.up.embedded import servers, state
from scheduler.admin import tokens
from scheduler.store.schema import migrations
from tests.bench.figures import figure, quantile, spread
from tests.support.servers import state_folder

JOBS = 1_000_000
TYPES, NODES, PROJECTS = 20, 100, 10
ROUNDS = {"quick": 200, "slow": 20, "bulk": 10}
# Each field alone, and pairs that have nothing to do with each other; {n} is another number every time.
FILTERED = {
    "status": "/jobs/?status=FAILED",
    "type": "/jobs/?job_type_name=type-{n}",
    "type-category": "/jobs/?job_type_category=category-2",
    "error-category": "/jobs/?error_category=ALGORITHM",
    "node": "/jobs/?node=host-{n}",
    "pool": "/jobs/?pool=default",
    "project": "/jobs/?project=project-{n}",
    "label": "/jobs/?label=batch:{n}",
    "workflow": "/jobs/?workflow_id={n}",
    "window": "/jobs/?started=PT3H0M0S&order=-last_modified",
    "status-and-type": "/jobs/?status=QUEUED&job_type_name=type-3",
    "status-and-window": "/jobs/?status=FAILED&started=PT3H0M0S",
    "status-newest-first": "/jobs/?status=FAILED&order=-id",
    "node-and-status": "/jobs/?node=host-{n}&status=COMPLETED",
    "node-and-type": "/jobs/?node=host-{n}&job_type_name=type-3",
    "project-and-status": "/jobs/?project=project-{n}&status=QUEUED",
    "project-and-type": "/jobs/?project=project-{n}&job_type_name=type-3",
    "project-and-node": "/jobs/?project=project-{n}&node=host-7",
    "error-and-project": "/jobs/?error_category=ALGORITHM&project=project-{n}",
    "no-match": "/jobs/?pool=no-such-pool",
    "updates": "/jobs/updates/?started=PT3H0M0S",
}
MOST_NUMBERS = 9
START_WITHIN_S = 120.0

_TYPES = """
    WITH made AS (
        INSERT INTO job_types (name, version, title, category)
        SELECT 'type-' || n, '1.0', 'Type ' || n, 'category-' || n %% 5 FROM generate_series(1, %(types)s::int) AS n
        RETURNING id
    )
    INSERT INTO job_type_revisions (job_type_id, revision_num, definition)
    SELECT made.id, 1, r.definition
    FROM made, job_type_revisions r JOIN job_types t ON t.id = r.job_type_id
    WHERE t.name = 'command'
"""
_NODES = """
    INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
    SELECT 'node-' || n, (SELECT id FROM pools WHERE name = 'default'), 'host-' || n, 'boot', 'disk', 64000, 256000000,
           1000000000
    FROM generate_series(1, %(nodes)s::int) AS n
"""
_PROJECTS = "INSERT INTO projects (name) SELECT 'project-' || n FROM generate_series(1, %(projects)s::int) AS n"
_SHAPES = """
    INSERT INTO shapes (digest, cpus, mem, disk, project_id, job_type_id, priority)
    SELECT sha256(('shape-' || t.id)::bytea), 1000, 64000, 64000, 1, t.id, 100 FROM job_types t
"""
# Ninety of a hundred have completed; ids, types, projects and times run independently of each other.
_JOBS = """
    INSERT INTO jobs (id, project_id, job_type_id, revision_id, shape_id, node_id, error_id, status, max_tries, priority,
                      cpus, mem, disk_out, timeout_s, result_attempt, attempt, num_exes, created, queued, started, ended,
                      last_status_change, last_modified)
    SELECT n, 1 + n %% (%(projects)s::int + 1), t.id, t.revision_id, t.shape_id,
           CASE WHEN kind < 96 THEN 1 + (n * 31) %% %(nodes)s::int END,
           CASE WHEN kind IN (90, 91, 92) THEN (SELECT id FROM errors WHERE name = 'timeout') END,
           status, 3, 100, 1000, 64000, 64000, 1800, CASE WHEN kind < 90 THEN 1 END,
           CASE WHEN kind < 96 THEN 1 ELSE 0 END, CASE WHEN kind < 96 THEN 1 ELSE 0 END,
           at, at, at, CASE WHEN kind < 93 THEN at END, at, at + make_interval(secs => (n * 7919 %% 86400))
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    CROSS JOIN LATERAL (SELECT (n * 37 + n / 100) %% 100 AS kind, now() - make_interval(secs => %(jobs)s::bigint - n) AS at) AS k
    CROSS JOIN LATERAL (SELECT CASE WHEN kind < 90 THEN 'COMPLETED' WHEN kind < 93 THEN 'FAILED'
                                    WHEN kind < 95 THEN 'CANCELED' WHEN kind < 96 THEN 'RUNNING' ELSE 'QUEUED' END AS status) AS s
    JOIN (SELECT t.id, r.id AS revision_id, h.id AS shape_id, row_number() OVER (ORDER BY t.id) - 1 AS number
          FROM job_types t JOIN job_type_revisions r ON r.job_type_id = t.id JOIN shapes h ON h.job_type_id = t.id) AS t
      ON t.number = (n * 13) %% (%(types)s::int + 1)
"""
_SPECS = """
    INSERT INTO job_specs (job_id, overrides, labels)
    SELECT n, '{"command": ["true"]}', CASE WHEN n %% 100 = 0 THEN jsonb_build_object('batch', (n / 10000)::text) END
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
_FAST = """
    SET session_replication_role = replica; SET synchronous_commit = off; SET statement_timeout = 0; SET maintenance_work_mem = '256MB'
"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
    WHERE i.indrelid IN ('jobs'::regclass, 'job_specs'::regclass) AND c.oid IS NULL AND NOT i.indisprimary
"""
CHUNK = 100_000


def main(arguments: list[str] | None = None) -> None:
    """Fill a new database, start the server on it, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=JOBS)
    jobs = parser.parse_args(arguments or []).jobs
    with state_folder() as root:
        folder = state.prepare(root)
        running = servers.prepare(folder)
        running.start()
        try:
            migrations.upgrade(running.database_url)
            token = tokens.ensure(
                running.database_url, kind="user", role="admin", project=None, name="bench", path=root / "token"
            )
            with _server(running.database_url, root) as port:
                fill(running.database_url, jobs)
                _measure(_Client(port, token), jobs)
        finally:
            running.stop()


class _Client:
    """One kept connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def send(self, method: str, path: str, body: Any = None) -> Any:
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self._headers, **({} if payload is None else {"Content-Type": "application/json"})}
        self._connection.request(method, path, payload, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def json(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self.send(method, path, body))


def _measure(client: _Client, jobs: int) -> None:
    page = max(1, jobs // 2 // 100)
    one = {"command": ["true"], "name": "bench"}
    reads: dict[str, tuple[Callable[[int], Any], int]] = {
        "first-page": (lambda _: client.send("GET", "/jobs/"), ROUNDS["quick"]),
        **{
            f"filtered-page.{name}": (functools.partial(_filtered, client, path), ROUNDS["quick"])
            for name, path in FILTERED.items()
        },
        f"page-{page}": (lambda _: client.send("GET", f"/jobs/?page={page}"), ROUNDS["slow"]),
        "detail": (lambda n: client.send("GET", f"/jobs/{n * 997 % jobs + 1}/"), ROUNDS["quick"]),
    }
    for name, (request, rounds) in reads.items():
        _timed(client, name, request, rounds, jobs)
    _timed(client, "submit-1", lambda _: client.send("POST", "/jobs/", one), ROUNDS["quick"], jobs)
    queued = client.json("POST", "/jobs/", [one] * (2 * ROUNDS["quick"]))["job_ids"]
    cancel = {"status": "CANCELED"}
    _timed(client, "cancel", lambda n: client.send("PATCH", f"/jobs/{queued[n]}/", cancel), ROUNDS["quick"], jobs)
    for count in (1_000, 10_000):
        many = json.dumps([{**one, "name": f"bench-{n}"} for n in range(count)]).encode()
        request = functools.partial(client.send, "POST", "/jobs/", many)
        seconds = _timed(client, f"submit-{count}", lambda _: request(), ROUNDS["bulk"], jobs)  # noqa: B023  called right here
        figure("api", f"submit-{count}.rate", count / quantile(seconds, 0.5), "jobs/s")


def _filtered(client: _Client, path: str, number: int) -> Any:
    return client.send("GET", path.format(n=number % MOST_NUMBERS + 1))


def _timed(client: _Client, name: str, request: Callable[[int], Any], rounds: int, jobs: int) -> list[float]:
    """Send a request many times, each time after a bare one: both then meet the machine in the same state."""
    warm = max(1, rounds // 10)
    for number in range(warm):
        request(number)
    seconds: list[float] = []
    bare: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        client.send("GET", "/bench/select-1/")
        between = time.perf_counter()
        request(warm + number)
        seconds.append(time.perf_counter() - between)
        bare.append(between - began)
    spread("api", name, seconds, jobs=jobs)
    base = quantile(bare, 0.5)
    figure("api", f"{name}.ratio", quantile(seconds, 0.5) / base, "times select-1", select_1_ms=round(base * 1000, 3))
    return seconds


def fill(url: str, jobs: int) -> None:
    """Put so many jobs into an empty database: rows first, without triggers, then the indexes over all of them at once."""
    began = time.perf_counter()
    counts = {"types": TYPES, "nodes": NODES, "projects": PROJECTS, "jobs": jobs}
    with psycopg.connect(url, autocommit=True) as db:
        for statement in (_TYPES, _NODES, _PROJECTS, _SHAPES):
            db.execute(statement, counts)
        db.execute(_FAST)
        indexes = db.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        for first in range(1, jobs + 1, CHUNK):
            span = {**counts, "first": first, "last": min(first + CHUNK - 1, jobs)}
            db.execute(_JOBS, span)
            db.execute(_SPECS, span)
        rows = time.perf_counter() - began
        for _, definition in indexes:
            db.execute(definition)
        db.execute("SELECT setval(pg_get_serial_sequence('jobs', 'id'), %s)", (jobs,))
        db.execute("VACUUM ANALYZE")
    figure("api", "fill", time.perf_counter() - began, "s", jobs=jobs, rows_s=round(rows, 1), indexes=len(indexes))


@contextmanager
def _server(url: str, root: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ, "GANGER_DATABASE_URL": url, "GANGER_STATE_DIR": str(root), "GANGER_API_WORKERS": "1",
        "GANGER_PORT": str(port),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "tests.bench._api_server"], env=environment)
    try:
        _await(port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _await(port: int) -> None:
    end = time.monotonic() + START_WITHIN_S
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
        except OSError:
            time.sleep(0.05)  # another process: there is no signal to wait for
        else:
            return
    raise RuntimeError("the server did not come up")


if __name__ == "__main__":
    main(sys.argv[1:])
