"""Why does my job wait? 100,000 jobs wait on 500 full nodes; the question over HTTP, while nothing changes and while jobs come.

A real PostgreSQL and the real server (one process, so that its picture is the one that is measured); the first question
reads the whole queue and stands by itself. A bare request (route, token, `SELECT 1`) is sent in turn, for the ratio.
"""

from __future__ import annotations

import random
import time

import psycopg

from api.up.embedded import servers, state
from scheduler.admin import tokens
from scheduler.store.schema import migrations
from tests.bench import api as bench
from tests.bench.figures import figure, quantile
from tests.support.servers import state_folder

JOBS, NODES, SHAPES, PROJECTS, ON_NODE = 100_000, 500, 200, 10, 16
ASKED = {"quiet": 200, "changing": 200}
BAR_MS = 50

_FILL = (
    """
    INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk, labels, state)
    SELECT 'node-' || n, (SELECT id FROM pools WHERE name = 'default'), 'host-' || n, 'boot', 'disk', 64000, 256000000,
           1000000000, jsonb_build_object('zone', 'z' || n %% 4), 'READY'
    FROM generate_series(1, %(nodes)s::int) AS n
    """,
    "INSERT INTO projects (name) SELECT 'project-' || n FROM generate_series(1, %(projects)s::int) AS n",
    """
    INSERT INTO shapes (digest, cpus, mem, disk, project_id, job_type_id, priority, constraints, options)
    SELECT sha256(('shape-' || n)::bytea), 1000 * (1 + n %% 80), 64000 * (1 + n %% 7), 64000, p.id, t.id, 100 + n %% 3,
           CASE WHEN n %% 5 = 0 THEN '[{"label": "zone", "op": "=", "value": "z1"}]' ELSE '[]' END::jsonb, '{"timeout_s": 3600}'
    FROM generate_series(1, %(shapes)s::int) AS n
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM projects) p ON p.number = n %% (%(projects)s::int + 1)
    CROSS JOIN (SELECT id FROM job_types WHERE name = 'command') t
    """,
    """
    INSERT INTO jobs (project_id, job_type_id, revision_id, shape_id, status, max_tries, priority, cpus, mem, disk_out,
                      timeout_s, created, queued, attempt, num_exes)
    SELECT h.project_id, h.job_type_id, (SELECT id FROM job_type_revisions WHERE job_type_id = h.job_type_id LIMIT 1), h.id,
           CASE WHEN n <= %(running)s::int THEN 'RUNNING' ELSE 'QUEUED' END, 3, h.priority, h.cpus, h.mem, 64000, 3600,
           now() - make_interval(secs => %(jobs)s::int - n), now() - make_interval(secs => %(jobs)s::int - n),
           CASE WHEN n <= %(running)s::int THEN 1 ELSE 0 END, CASE WHEN n <= %(running)s::int THEN 1 ELSE 0 END
    FROM generate_series(1, %(jobs)s::int + %(running)s::int) AS n
    JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS number FROM shapes) h ON h.number = n %% %(shapes)s::int
    """,
    'INSERT INTO job_specs (job_id, overrides) SELECT id, \'{"command": ["true"]}\' FROM jobs',
    """
    INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, why, queued, started)
    SELECT j.id, 1, n.id, 1, 'RUNNING', 4000, 64000, 64000, 90, 'best fit', now(), now()
    FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM jobs WHERE status = 'RUNNING') j
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM nodes) n ON n.number = j.number %% %(nodes)s::int
    """,
    "ANALYZE",
)


def main() -> None:
    """Fill a new database, start the server on it, and ask."""
    with state_folder() as root:
        running = servers.prepare(state.prepare(root))
        running.start()
        try:
            migrations.upgrade(running.database_url)
            token = tokens.ensure(
                running.database_url, kind="user", role="admin", project=None, name="bench", path=root / "token"
            )
            with bench._server(running.database_url, root) as port:
                fill(running.database_url, jobs=JOBS, nodes=NODES, on_node=ON_NODE)
                _ask(bench._Client(port, token), running.database_url)
        finally:
            running.stop()


def fill(url: str, *, jobs: int, nodes: int, on_node: int) -> None:
    """Put that many waiting jobs, of many shapes and projects, into a new database, and nodes that run so many each."""
    counts = {"jobs": jobs, "nodes": nodes, "shapes": SHAPES, "projects": PROJECTS, "running": nodes * on_node}
    with psycopg.connect(url, autocommit=True) as database:
        for statement in _FILL:
            database.execute(statement, counts if "%(" in statement else None)


def _ask(client: bench._Client, url: str) -> None:
    with psycopg.connect(url) as database:
        ids = [row[0] for row in database.execute("SELECT id FROM jobs WHERE status = 'QUEUED'")]
    chance = random.Random(1)
    for round_, times in ASKED.items():
        seconds, bare = [], []
        for number in range(times + 1):
            if round_ == "changing":
                client.send("POST", "/jobs/", {"command": ["true"]})
            started = time.perf_counter()
            client.send("GET", f"/jobs/{chance.choice(ids)}/explain/")
            took = time.perf_counter() - started
            began = time.perf_counter()
            client.send("GET", "/bench/select-1/")
            bare.append(time.perf_counter() - began)
            if number:
                seconds.append(took)
            elif round_ == "quiet":
                figure("explain", "first", took * 1000, "ms", jobs=JOBS, nodes=NODES)
        for share in (0.5, 0.95):
            value = quantile(seconds, share) * 1000
            figure("explain", f"{round_}.p{share * 100:.0f}", value, "ms", n=times, bar=BAR_MS if share > 0.9 else None)
            figure("explain", f"{round_}.to-bare.p{share * 100:.0f}", value / 1000 / quantile(bare, share), "times")


if __name__ == "__main__":
    main()
