"""Whose fault it is when a program cannot be started: the node's, which is then avoided for a while, or the job's.

A node tells what it can tell: that it has no container runtime, no work folder, no user to start the program as is its own
fault; a program that is not there, or may not be executed, is the job's, and the next user's mistake must not take nodes
out of service. But a node that has lost a disk looks the same, so it counts after all once several different programs have
failed there in a row, each at its first try and nothing in between having started: of several job types or projects, or
commands of one project while most other nodes are not under the same suspicion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from scheduler import wire
from scheduler.identifiers import ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.store.executions import executions, task_specs
from scheduler.store.executions import launch_failures as store
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes


def meet(tx: Connection, message: wire.ReportBatch) -> None:
    """Lock the node's row where launches failed, to count them later; begin to count anew where one has worked.

    This comes first: whoever takes a node's executions away locks the node before the jobs.
    """
    if any(map(_failed, message.reports)):
        nodes.lock(tx, message.node_id)
    elif any(map(_has_run, message.reports)):
        store.clear(tx, message.node_id)


def count(
    tx: Connection,
    node_id: NodeId,
    locked: Mapping[JobId, jobs.LockedJob],
    rows: Mapping[ExecutionId, executions.LockedExecution],
    live: Iterable[wire.ExecutionReport],
) -> None:
    """Count launches that failed by the node's fault, and note the programs that are to blame for the others."""
    failed = [report for report in live if _failed(report)]
    store.count(tx, node_id, sum(not report.of_job for report in failed))
    asked = [locked[rows[report.execution_id].job_id] for report in failed if report.of_job]
    # What has failed elsewhere before says nothing of this node.
    first = [job.id for job in asked if job.num_exes - job.forgiven <= 1]
    if first:
        store.suspect(tx, node_id, task_specs.programs(tx, first))


def _failed(report: wire.ExecutionReport) -> bool:
    return report.error == "launch"


def _has_run(report: wire.ExecutionReport) -> bool:
    """Tell whether a program was started, however it ended."""
    ended = any(phase.exit_code is not None or phase.signal is not None for phase in report.phases.values())
    return report.outcome is Outcome.COMPLETED or ended
