"""The page for people, beside its budgets: bytes, server time on a million jobs, a log of 100 MB, and in Chromium what a reader feels.

Server times are of the application within this process, one request at a time, warm: CPU seconds beside seconds, since other work on the machine adds
to the latter alone. Where Chromium or Playwright is missing, its part is left out and said to be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from api.up.embedded import servers, state
from scheduler.executions.logs import index
from scheduler.store.schema import migrations
from tests.bench import _browser
from tests.bench.api import fill
from tests.bench.figures import figure, quantile
from tests.support import page_weight
from tests.support.api import Api, serving
from tests.support.browserless import PageReader, signed_in
from tests.support.page_weight import FIRST, NEXT
from tests.support.servers import state_folder

JOBS, LOG_LINES, ROUNDS = 1_000_000, 1_000_000, 20
PIECE = 64 * 1024
PAGES = {
    "overview": ("/ui/", 60), "jobs": ("/ui/jobs", 200), "jobs.failed": ("/ui/jobs?q=status:failed", 200),
    "jobs.type": ("/ui/jobs?q=type:type-3", 200), "jobs.label": ("/ui/jobs?q=label:batch=3", 200),
    "jobs.project-queued": ("/ui/jobs?q=status:queued project:project-3", 200), "job": ("/ui/jobs/997", 200), "queue": ("/ui/queue", 200),
    "types": ("/ui/types", 200), "errors": ("/ui/errors", 200), "nodes": ("/ui/nodes", 200), "pools": ("/ui/pools", 200),
    "operations": ("/ui/operations", 200), "bulk": ("/ui/bulk/cancel?q=status:queued", 200),
}  # fmt: skip
"""Pages, and the milliseconds that each may take."""


def main(arguments: list[str] | None = None) -> None:
    """Fill a new database and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=JOBS)
    jobs = parser.parse_args(arguments or []).jobs
    with state_folder() as root:
        running = servers.prepare(state.prepare(root))
        running.start()
        try:
            migrations.upgrade(running.database_url)
            with serving(running.database_url, root) as api:
                fill(running.database_url, jobs)
                reader = signed_in(api, "admin")
                execution = _print_log(running.database_url, api)
                _weights(reader)
                _log(api, execution)
                _times(reader, jobs)
                with _changing(running.database_url) as change:
                    _browser.measure(api, execution, change)
        finally:
            running.stop()


def _weights(reader: PageReader) -> None:
    for name, (path, _) in PAGES.items():
        weight = page_weight.weigh(reader, path)
        figure("ui", f"bytes.{name}", weight.html, "bytes", budget=NEXT)
        if name == "overview":
            figure("ui", "bytes.first-page", weight.first, "bytes", budget=FIRST, files=weight.named)


def _times(reader: PageReader, jobs: int) -> None:
    for name, (path, budget) in PAGES.items():
        reader.get(path)
        seconds, cpu = [], []
        for _ in range(ROUNDS):
            began, used = time.perf_counter(), time.process_time()
            answer = reader.get(path)
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
            assert answer.status_code == 200, (path, answer.status_code)
        figure("ui", f"server.{name}.p95", quantile(seconds, 0.95) * 1000, "ms", budget=budget, jobs=jobs,
               p50=round(quantile(seconds, 0.5) * 1000, 1), cpu=round(quantile(cpu, 0.5) * 1000, 1))  # fmt: skip


def _print_log(url: str, api: Api) -> int:
    """Store a log of a million lines as nodes send it, and return its execution."""
    job = api.a_job(name="it prints much")["id"]
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk) SELECT 'log', id, 'log', '', '', 1, 1, 1 FROM pools LIMIT 1"""
        )
        row = db.execute(
            """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, released_at)
               VALUES (%s, 1, (SELECT id FROM nodes WHERE name = 'log'), 1, 'COMPLETED', 1, 1, 1, 90, now()) RETURNING id""",
            (job,),
        ).fetchone()
        assert row is not None
        whole = b"".join(
            b"line %07d of a long log, with text enough to be about a hundred bytes long: %s\n" % (n, b"x" * 22)
            for n in range(LOG_LINES)
        )
        whole += b"a needle at the very end\n"
        with db.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO output_chunks (execution_id, phase, stream, "offset", data) VALUES (%s, 'job', 'stdout', %s, %s)""",
                [(row[0], at, whole[at : at + PIECE]) for at in range(0, len(whole), PIECE)],
            )
    return int(row[0])


def _log(api: Api, execution: int) -> None:
    path = f"/job-executions/{execution}/logs/stdout/"
    began, used, calls = time.perf_counter(), time.process_time(), 0
    while True:
        answer = api.get(f"{path}index/").json
        calls += 1
        if calls == 1:
            figure(
                "ui", "log.first-index", (time.perf_counter() - began) * 1000, "ms", budget=300, lines=answer["lines"]
            )
        if answer["is_complete"]:
            break
    size = answer["size_bytes"] / 1e6
    figure(
        "ui",
        "log.whole-index",
        (time.perf_counter() - began) * 1000,
        "ms",
        cpu=round((time.process_time() - used) * 1000),
        calls=calls,
        of=f"{index.INDEX_S} s",
        MB=round(size),
    )
    _timed("log.tail-100-lines", lambda: api.get(path, tail_lines=100, format="txt"), 200)
    _timed(
        "log.thousand-lines-in-the-middle",
        lambda: api.get(path, offset=answer["offsets"][500], limit=100_000, format="txt"),
        200,
    )
    for name, query in {
        "text": {"q": "a needle", "any_case": "false"}, "text.any-case": {"q": "A NEEDLE"},
        "pattern": {"q": "need(le|y) at", "regex": "true"}, "pattern.hostile": {"q": "(e|ee)+dle$", "regex": "true"},
    }.items():  # fmt: skip
        began, used, hits, place = time.perf_counter(), time.process_time(), 0, dict[str, Any]()
        while True:
            found = api.get(f"{path}search/", **query, **place).json
            hits += len(found["hits"])
            if found["next_offset"] is None:
                break
            place = {"offset": found["next_offset"], "line": found["next_line"]}
        spent = time.perf_counter() - began
        figure(
            "ui",
            f"log.search.{name}",
            size / spent,
            "MB/s",
            budget=100,
            hits=hits,
            cpu_MB_s=round(size / (time.process_time() - used)),
        )


def _timed(name: str, request: Callable[[], object], budget: float) -> None:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        request()
        seconds.append(time.perf_counter() - began)
    figure("ui", f"{name}.p95", quantile(seconds, 0.95) * 1000, "ms", budget=budget)


@contextmanager
def _changing(url: str) -> Iterator[Callable[[], None]]:
    """Yield what changes the newest hundred jobs so that it is seen in a list, and told by the feed, as a busy installation does ten times a second."""
    with psycopg.connect(url, autocommit=True) as db:

        def change() -> None:
            db.execute(
                """UPDATE jobs SET last_modified = now(), moved_xid = pg_current_xact_id(), max_tries = 3 + (random() * 6)::int
                   WHERE id IN (SELECT id FROM jobs ORDER BY id DESC LIMIT 100)"""
            )

        yield change


if __name__ == "__main__":
    main(sys.argv[1:])
