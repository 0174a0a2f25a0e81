"""Status: scheduler, jobs and nodes of the whole installation in a few aggregates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.leader import lease, load_samples, status
from scheduler.store.leader.lease import LeaderState
from scheduler.store.leader.status import NodesOfPool, OpenJobs, PoolUsage, SkewedNode
from scheduler.store.nodes import pools
from scheduler.store.nodes.pool_rows import PoolRow
from scheduler.store.retention import gone
from scheduler.store.retention.gone import PurgedAmount

RECENT_S = 3 * 3600.0


SKEW_TOLD_S = 10.0
"""A clock that is further off is told to people: below, it could be a heartbeat that was long on its way."""


@dataclass(frozen=True, slots=True)
class InstallationStatus:
    """The status for a person. It has the jobs that the caller may see, and all nodes and placements. Amounts are thousandths.

    `open_jobs` has rows of status, count, held, oldest_s; `nodes` of pool, word, count, usable, cpus, mem, disk;
    `live` of pool, placed, running, cpus, mem, disk. `ended` counts the last three hours. `skewed` nodes have wrong clocks.
    """

    standing: LeaderState
    open_jobs: Sequence[OpenJobs]
    ended: Mapping[str, int]
    nodes: Sequence[NodesOfPool]
    live: Sequence[PoolUsage]
    skewed: Sequence[SkewedNode] = ()


@dataclass(frozen=True, slots=True)
class MetricValues:
    """The values for monitoring; `moves` and `submitted` only grow. `pools` are rows of `store.nodes.pools`."""

    standing: LeaderState
    open_jobs: Sequence[OpenJobs]
    nodes: Sequence[NodesOfPool]
    live: Sequence[PoolUsage]
    moves: Mapping[str, int]
    submitted: int
    pools: Sequence[PoolRow]
    purged: Sequence[PurgedAmount]


def read_status(rt: Runtime, caller: Caller) -> InstallationStatus:
    """Return the status for a person."""
    with rt.db.begin() as tx:
        return InstallationStatus(
            lease.standing(tx),
            status.open_jobs(tx, project_id=caller.project_id),
            status.ended_jobs(tx, project_id=caller.project_id, within_s=RECENT_S),
            status.nodes(tx),
            status.live(tx),
            status.skewed(tx, SKEW_TOLD_S),
        )


def read_metrics(rt: Runtime) -> MetricValues:
    """Return the status for monitoring."""
    with rt.db.begin() as tx:
        return MetricValues(
            lease.standing(tx),
            status.open_jobs(tx, project_id=None),
            status.nodes(tx),
            status.live(tx),
            load_samples.moves(tx),
            status.job_ids_given_out(tx),
            pools.read(tx),
            gone.amounts(tx),
        )
