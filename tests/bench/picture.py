"""The live scheduler's first picture of a million queued jobs from a real PostgreSQL: seconds, and the leader's memory.

`ClusterState.refresh` as the leader calls it, in a process of its own whose memory is read before and after; then again with
nothing changed, and with a thousand new jobs, as every tick has it.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import psutil
import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from api.up.embedded import servers, state
from scheduler import runtime
from scheduler.admin import seed
from scheduler.cluster_state import ClusterState
from scheduler.settings import Settings
from scheduler.store.schema import migrations
from tests.bench.explain import fill
from tests.bench.figures import figure
from tests.support.servers import state_folder

JOBS, NODES, ON_NODE, NEW = 1_000_000, 10_000, 4, 1_000
BAR_S, BAR_BYTES = 10.0, 1024

_MORE = """
    INSERT INTO jobs (project_id, job_type_id, revision_id, shape_id, status, max_tries, priority, cpus, mem, disk_out, timeout_s,
                      created, queued)
    SELECT project_id, job_type_id, revision_id, shape_id, status, max_tries, priority, cpus, mem, disk_out, timeout_s,
           now(), now()
    FROM jobs WHERE status = 'QUEUED' ORDER BY id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the leader's process measured: seconds of each look, jobs in the picture, bytes it grew by and at its highest."""

    first_s: float
    first_cpu_s: float
    idle_s: float
    changed_s: float
    jobs: int
    grown: int
    most: int


def _lead(url: str) -> _Seen:
    """Be the leader: look at everything, at nothing new, and at what came."""
    settings = Settings()
    engine, live, process = runtime.connect(url, settings), ClusterState(settings), psutil.Process()
    before, cpu_s = process.memory_info().rss, time.process_time()
    first = _look(engine, live)
    cpu_s = time.process_time() - cpu_s
    jobs, peak = len(live.queue), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gc.collect()
    after = process.memory_info().rss
    idle = _look(engine, live)
    with psycopg.connect(url, autocommit=True) as submitter:
        submitter.execute(_MORE, (NEW,))
    changed = _look(engine, live)
    assert len(live.queue) == jobs + NEW
    engine.dispose()
    return _Seen(first, cpu_s, idle, changed, jobs, after - before, peak - before)


def _look(engine: Engine, live: ClusterState) -> float:
    began = time.perf_counter()
    with engine.begin() as tx:
        live.refresh(tx)
    return time.perf_counter() - began


def main() -> None:
    """Fill a new database, and look at it from a new process."""
    with state_folder() as root:
        running = servers.prepare(state.prepare(root))
        running.start()
        try:
            migrations.upgrade(running.database_url)
            engine = runtime.connect(running.database_url, Settings())
            seed.seed(engine, files_dir=None)
            engine.dispose()
            fill(running.database_url, jobs=JOBS, nodes=NODES, on_node=ON_NODE)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as leader:
                _await(leader.submit(_lead, running.database_url))
        finally:
            running.stop()


def _await(seen: Future[_Seen]) -> None:
    """Say what the leader saw; or that it could not look, since the database did not bear with it for so long."""
    began = time.perf_counter()
    try:
        _tell(seen.result())
    except DBAPIError as error:
        took_s = time.perf_counter() - began
        figure(
            "picture", "first", took_s, "s", jobs=JOBS, failed=type(error.orig).__name__, bar=f"< {BAR_S:g}", held=False
        )


def _tell(seen: _Seen) -> None:
    facts = {"jobs": seen.jobs, "nodes": NODES, "running": NODES * ON_NODE}
    figure(
        "picture",
        "first",
        seen.first_s,
        "s",
        **facts,
        cpu_s=round(seen.first_cpu_s, 1),
        bar=f"< {BAR_S:g}",
        held=seen.first_s < BAR_S,
    )
    each = seen.grown / seen.jobs
    figure("picture", "memory", each, "bytes/job", bar=f"< {BAR_BYTES}", held=each < BAR_BYTES,
           while_reading=round(seen.most / seen.jobs))  # fmt: skip
    figure("picture", "idle", seen.idle_s * 1000, "ms", jobs=seen.jobs)
    figure("picture", "changed", seen.changed_s * 1000, "ms", jobs=seen.jobs, new=NEW)


if __name__ == "__main__":
    main()
