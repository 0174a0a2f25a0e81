"""Metrics of the database for Prometheus: a few aggregates, read at most once in some seconds.

Labels hold words of ours and names that operators gave (pools, release), and never anything that users sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import TypeAlias

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from api.http.serving.ttl_cache import TtlCache
from scheduler.admin import status, switches
from scheduler.admin.status import MetricValues
from scheduler.runtime import Runtime
from scheduler.store.leader.lease import LeaderState
from scheduler.store.leader.status import NodesOfPool, PoolUsage
from scheduler.store.nodes.pool_rows import PoolRow
from scheduler.store.schema.tables import PURGED

REMEMBER_S = 5.0
MIB = 1024 * 1024
OPEN = ("PENDING_UPLOAD", "PENDING", "BLOCKED", "QUEUED", "RUNNING")
LEADING = {"READY", "PAUSED"}

Samples: TypeAlias = list[tuple[dict[str, str], float]]
"""The values of a metric, each with its labels."""

log = structlog.get_logger()


class DatabaseMetrics(Collector):  # type: ignore[misc]  # prometheus-client has no types
    """The metrics that are the same in every process; where the database does not answer, `ganger_database_up` is 0 and the rest is missing."""

    def __init__(self, rt: Runtime, for_s: float = REMEMBER_S) -> None:
        self._rt = rt
        self._kept = TtlCache(self._read, for_s)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield _gauge("build_info", "Which release this is.", [({"version": version("ganger-server")}, 1.0)])
        found = self._kept()
        yield _gauge("database_up", "Whether the database answers.", [({}, float(found is not None))])
        if found is not None:
            yield from _scheduler(self._rt, found.standing)
            yield from _jobs(found)
            yield from _nodes(found)
            yield from _pools(found)
            yield from _purged(found)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering the collector must not ask the database."""
        return ()

    def _read(self) -> MetricValues | None:
        try:
            return status.read_metrics(self._rt)
        except SQLAlchemyError as error:
            log.warning("metrics.unavailable", error=type(error).__name__)
            return None


def _scheduler(rt: Runtime, standing: LeaderState) -> Iterator[Metric]:
    state = switches.state(rt, standing)
    yield _gauge("leader_up", "Whether a scheduler leads and is alive.", [({}, float(state in LEADING))])
    yield _gauge("leader_age_seconds", "Since the leader's last sign of life.", [({}, max(standing.age_s, 0.0))])
    yield _gauge("leader_term", "How often the lead was taken.", [({}, float(standing.term))])
    yield _gauge("scheduler_paused", "Whether an operator has paused the scheduler.", [({}, float(standing.is_paused))])
    yield _gauge(
        "tick_duration_seconds", "Of the leader's last tick.", [({}, standing.status.get("tick_ms", 0.0) / 1000)]
    )
    yield _gauge(
        "prediction_error",
        "Fading mean of |ln(expected / actual run time)| of jobs that ended.",
        [({}, float(standing.status.get("prediction_error", 0.0)))],
    )
    yield _gauge("reservations", "Jobs that room is kept for.", [({}, float(standing.status.get("reserved", 0)))])
    yield _counter("placements", "Jobs placed by this leader.", [({}, float(standing.status.get("placed", 0)))])
    yield _counter(
        "placements_lost",
        "Placements of this leader that no longer held when they were to be written.",
        [({}, float(standing.status.get("lost", 0)))],
    )
    broken = standing.status.get("violations") or {}
    yield _counter(
        "invariant_violations",
        "What this leader's checks of the database found broken; what stays so counts at every check.",
        [({"invariant": number}, float(count)) for number, count in sorted(broken.items())],
        ["invariant"],
    )
    waiting = standing.status.get("waiting_by_reason") or {}
    samples = [({"reason": reason}, float(count)) for reason, count in sorted(waiting.items())]
    yield _gauge("waiting_jobs", "Queued jobs by the main reason why they wait.", samples, ["reason"])


def _jobs(found: MetricValues) -> Iterator[Metric]:
    by_status = {row.status: row for row in found.open_jobs}
    counts = [({"status": word}, float(by_status[word].count if word in by_status else 0)) for word in OPEN]
    yield _gauge("jobs", "Jobs that have not ended, by status.", counts, ["status"])
    yield _gauge("jobs_held", "Jobs that are held.", [({}, float(sum(row.held for row in found.open_jobs)))])
    queued = by_status.get("QUEUED")
    oldest = queued.oldest_s if queued is not None and queued.oldest_s is not None else 0.0
    yield _gauge("oldest_queued_job_age_seconds", "Of the job that waits longest and is not held.", [({}, oldest)])
    yield _counter("jobs_submitted", "Job ids given out.", [({}, float(found.submitted))])
    moves = [({"event": event.lower()}, float(count)) for event, count in sorted(found.moves.items())]
    yield _counter("job_events", "What has happened to jobs since the load is sampled.", moves, ["event"])


def _purged(found: MetricValues) -> Iterator[Metric]:
    counts, sizes = Counter[str](), Counter[str]()
    for row in found.purged:
        counts[row.what] += row.count
        sizes[row.what] += row.size
    for name, meaning, values in (
        ("purged", "What was kept no longer and deleted.", counts),
        ("purged_bytes", "Printed output and files among it.", sizes),
    ):
        yield _counter(name, meaning, [({"what": what}, float(values[what])) for what in PURGED], ["what"])


def _nodes(found: MetricValues) -> Iterator[Metric]:
    states = [({"pool": row.pool, "state": row.word.lower()}, float(row.count)) for row in found.nodes]
    yield _gauge("nodes", "Nodes by pool and state.", states, ["pool", "state"])
    failed = Counter[str]()
    for row in found.nodes:
        failed[row.pool] += row.launch_failures
    yield _gauge(
        "launch_failures",
        "Failed launches held against nodes; those in state avoided have too many to get work.",
        [({"pool": pool}, float(count)) for pool, count in sorted(failed.items())],
        ["pool"],
    )
    placed = [({"pool": row.pool}, float(row.placed)) for row in found.live]
    yield _gauge("executions_placed", "Executions that hold room.", placed, ["pool"])
    running = [({"pool": row.pool}, float(row.running)) for row in found.live]
    yield _gauge("executions_running", "Executions that nodes have claimed.", running, ["pool"])
    for word, rows, meaning in (
        ("capacity", found.nodes, "What nodes that can be reached have."),
        ("scheduled", found.live, "What placements hold."),
    ):
        yield _gauge(f"{word}_cpus", meaning, _amounts(rows, "cpus", 1), ["pool"])
        yield _gauge(f"{word}_memory_bytes", meaning, _amounts(rows, "mem", MIB), ["pool"])
        yield _gauge(f"{word}_disk_bytes", meaning, _amounts(rows, "disk", MIB), ["pool"])


_OF_POOLS: tuple[tuple[str, str, Callable[[PoolRow], float | None]], ...] = (
    ("nodes_wanted", "How many nodes a pool should have.", lambda row: row.wanted),
    ("nodes_starting", "Nodes on their way that have not registered.", lambda row: row.starting),
    (
        "nodes_smallest",
        "The least an operator allows.",
        lambda row: row.size if row.sizing == "fixed" else row.smallest,
    ),
    (
        "nodes_largest",
        "The most an operator allows.",
        lambda row: row.size if row.sizing == "fixed" else row.largest,
    ),
    (
        "unmet_jobs",
        "Jobs that wait for room that new nodes would give.",
        lambda row: sum((row.detail or {}).get("unmet", {}).values()),
    ),
    (
        "hopeless_jobs",
        "Jobs that fit no node of the pool, not even a new one.",
        lambda row: sum((row.detail or {}).get("hopeless", {}).values()),
    ),
    ("trouble", "Whether a driver of the pool fails.", lambda row: row.trouble is not None),
)
"""The metrics of a pool that is scaled: name, meaning, value."""


def _pools(found: MetricValues) -> Iterator[Metric]:
    scaled = [row for row in found.pools if row.sizing != "free" and row.decided is not None]
    for name, meaning, value in _OF_POOLS:
        samples: Samples = [({"pool": row.name}, float(value(row) or 0)) for row in scaled]
        yield _gauge(f"pool_{name}", meaning, samples, ["pool"])


def _amounts(rows: Sequence[NodesOfPool | PoolUsage], name: str, unit: int) -> Samples:
    """Return thousandths as whole units per pool; a pool may have a row for every state."""
    total: dict[str, int] = {}
    for row in rows:
        total[row.pool] = total.get(row.pool, 0) + getattr(row, name)
    return [({"pool": pool}, amount / 1000 * unit) for pool, amount in total.items()]


def _gauge(name: str, meaning: str, samples: Samples, labels: list[str] | None = None) -> Metric:
    made = GaugeMetricFamily(f"ganger_{name}", meaning, labels=labels or list(samples[0][0] if samples else ()))
    for values, value in samples:
        made.add_metric([values[label] for label in values], value)
    return made


def _counter(name: str, meaning: str, samples: Samples, labels: list[str] | None = None) -> Metric:
    made = CounterMetricFamily(f"ganger_{name}", meaning, labels=labels or [])
    for values, value in samples:
        made.add_metric([values[label] for label in values], value)
    return made
