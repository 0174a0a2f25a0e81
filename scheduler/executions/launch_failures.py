"""Launch failures: decides whether the node or the job is to blame when a program cannot be started.

A node is to blame if it has no container runtime, no work folder, or no user to run the program as; it is then avoided
for a while. The job is to blame for a program that does not exist or may not be executed: the mistake of one user must
not take nodes out of service. But a node that has lost a disk looks the same. Therefore it is blamed after all when
several different programs have failed there in a row, each at its first try, and none has started in between: programs of
several job types or projects, or commands of one project while most other nodes are not under the same suspicion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from scheduler import wire
from scheduler.identifiers import ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.runtime import Runtime
from scheduler.store.executions import executions, task_specs
from scheduler.store.executions import launch_failures as store
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes


def lock(tx: Connection, node_id: NodeId, reports: Sequence[wire.ExecutionReport]) -> None:
    """Lock the node's row if launches failed, to count them later. Call this first: `nodes.lost` too locks the node before the jobs."""
    if any(map(_failed, reports)):
        nodes.lock(tx, node_id)


def reset(rt: Runtime, node_id: NodeId, reports: Sequence[wire.ExecutionReport], *, is_suspected: bool) -> None:
    """Begin to count anew if a launch worked on a node that is under suspicion. Call it after the commit: the node comes before its jobs."""
    if is_suspected and any(map(_has_run, reports)) and not any(map(_failed, reports)):
        with rt.db.begin() as tx:
            store.clear(tx, node_id)


def count(
    tx: Connection,
    node_id: NodeId,
    locked: Mapping[JobId, jobs.LockedJob],
    rows: Mapping[ExecutionId, executions.LockedExecution],
    live: Iterable[wire.ExecutionReport],
) -> None:
    """Count the launches that failed by the node's fault, and record the programs of the others as suspicious."""
    failed = [report for report in live if _failed(report)]
    store.count(tx, node_id, sum(not report.of_job for report in failed))
    asked = [locked[rows[report.execution_id].job_id] for report in failed if report.of_job]
    # A job that has failed elsewhere before says nothing about this node.
    first = [job.id for job in asked if job.num_exes - job.forgiven <= 1]
    if first:
        store.suspect(tx, node_id, task_specs.programs(tx, first))


def _failed(report: wire.ExecutionReport) -> bool:
    return report.error == "launch"


def _has_run(report: wire.ExecutionReport) -> bool:
    """Tell whether a program was started, whatever its end."""
    ended = any(phase.exit_code is not None or phase.signal is not None for phase in report.phases.values())
    return report.outcome is Outcome.COMPLETED or ended
