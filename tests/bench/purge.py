"""Retention: how fast ended jobs are purged, and what a sweep costs where nothing is due. On a real PostgreSQL, synced.

Each job has one execution, four events and two pieces of output. `ganger` sweeps with rests, as the leader does; the floor is
the same rows deleted by hand, five statements for all.
"""

from __future__ import annotations

import time

import psycopg

from api.up.embedded import servers, state
from scheduler import runtime
from scheduler.admin import seed
from scheduler.retention.sweep import Sweep
from scheduler.settings import Settings
from scheduler.store.schema import migrations
from tests.bench.figures import figure
from tests.support.servers import state_folder

JOBS = 100_000
EVENTS, PIECES = 4, 2

_TYPE = """
    WITH made AS (INSERT INTO job_types (name, version) VALUES ('bench', '1') RETURNING id),
         revision AS (INSERT INTO job_type_revisions (job_type_id, revision_num) SELECT id, 1 FROM made RETURNING id)
    INSERT INTO shapes (digest, cpus, mem, disk, project_id, job_type_id, priority)
    SELECT 'bench', 1000, 0, 0, (SELECT id FROM projects WHERE name = 'default'), made.id, 100 FROM made, revision
"""
_NODE = """
    INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
    SELECT 'bench', id, 'bench', '', '', 1000, 0, 0 FROM pools LIMIT 1
"""
_JOBS = f"""
    INSERT INTO jobs (project_id, job_type_id, revision_id, shape_id, status, attempt, num_exes, result_attempt, max_tries,
                      priority, cpus, mem, last_modified)
    SELECT s.project_id, s.job_type_id, r.id, s.id, 'COMPLETED', 1, 1, 1, 3, 100, 1000, 0,
           now() - interval '1000 days' + n * interval '1 second'
    FROM shapes s JOIN job_type_revisions r ON r.job_type_id = s.job_type_id, generate_series(1, {JOBS}) AS n
"""  # noqa: S608 - numbers of ours
_REST = (
    "INSERT INTO job_specs (job_id) SELECT id FROM jobs",
    """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, claim_token, released_at)
       SELECT j.id, 1, n.id, 1, 'COMPLETED', 1000, 0, 0, 90, 'token', now() FROM jobs j, nodes n""",
    f"""INSERT INTO events (job_id, event, "to", attempt, actor)
        SELECT id, 'PLACE', 'RUNNING', 1, 'bench' FROM jobs, generate_series(1, {EVENTS})""",  # noqa: S608
    f"""INSERT INTO output_chunks (execution_id, phase, stream, "offset", data)
        SELECT id, 'job', 'stdout', n * 100, convert_to(repeat('x', 100), 'UTF8')
        FROM executions, generate_series(1, {PIECES}) AS n""",  # noqa: S608
    "ANALYZE",
)
_BY_HAND = (
    "DELETE FROM output_chunks",
    "DELETE FROM executions",
    "DELETE FROM events",
    "DELETE FROM job_specs",
    "DELETE FROM jobs",
)


def main() -> None:
    """Print jobs purged a second, beside the floor, and the seconds of a sweep that finds nothing."""
    with state_folder() as root:
        running = servers.prepare(state.prepare(root))
        running.start()
        try:
            _measure(running.database_url)
        finally:
            running.stop()


def _measure(url: str) -> None:
    migrations.upgrade(url)
    settings = Settings()
    engine = runtime.connect(url, settings)
    seed.seed(engine, files_dir=None)
    rt = runtime.Runtime(engine, settings, runtime.utc_now, lambda: 0.5)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(_TYPE)
        db.execute(_NODE)
        rates = {}
        for name in ("floor", "without_rest", "ganger"):
            _fill(db)
            began = time.perf_counter()
            _purge(db, rt, name)
            rates[name] = JOBS / (time.perf_counter() - began)
            figure("purge", name, rates[name], "jobs/s", of_floor=round(rates[name] / rates["floor"], 3))
        _fill(db)
        db.execute("UPDATE jobs SET last_modified = now()")
        began = time.perf_counter()
        Sweep(rt).run()
        figure("purge", "nothing_due", time.perf_counter() - began, "s", jobs=JOBS)
    engine.dispose()


def _fill(db: psycopg.Connection) -> None:
    db.execute(_JOBS)
    for statement in _REST:
        db.execute(statement)


def _purge(db: psycopg.Connection, rt: runtime.Runtime, name: str) -> None:
    if name == "floor":
        for statement in _BY_HAND:
            db.execute(statement)
        return
    sweep = Sweep(rt)
    if name == "without_rest":
        assert sweep.run()["jobs"] == JOBS
        return
    while (rest_s := sweep.step()) < rt.settings.purge_s:
        time.sleep(rest_s)


if __name__ == "__main__":
    main()
