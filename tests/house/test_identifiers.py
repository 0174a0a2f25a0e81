"""Identifiers are types: a swapped pair does not pass the type check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT

SWAPPED = """
from sqlalchemy import Connection

from scheduler.executions.gangs import EndedExecution
from scheduler.identifiers import Attempt, Epoch, ExecutionId, JobId, NodeId, ShapeId
from scheduler.nodes import registration
from scheduler.rules.cluster.plan import Placement
from scheduler.rules.lifecycle.outcome import Outcome, StopReason
from scheduler.runtime import Runtime
from scheduler.store.executions import claims, executions
from scheduler.store.jobs import jobs, preemptions
from scheduler.store.leader import lease
from scheduler.store.nodes import nodes


def right(tx: Connection, job: JobId, execution: ExecutionId, attempt: Attempt, node: NodeId, epoch: Epoch) -> None:
    claims.claim(tx, [(execution, attempt, "token")], node_id=node, epoch=epoch)
    executions.withdraw(tx, [(execution, attempt)], "why")
    nodes.self_report(tx, node, epoch, degraded=None, leaving=False)
    jobs.JobMove(job, attempt)


def swapped(
    tx: Connection, rt: Runtime, job: JobId, execution: ExecutionId, attempt: Attempt, node: NodeId, epoch: Epoch
) -> None:
    claims.claim(tx, [(attempt, execution, "token")], node_id=node, epoch=epoch)  # wrong
    claims.claim(tx, [], node_id=epoch, epoch=node)  # wrong
    executions.withdraw(tx, [(attempt, execution)], "why")  # wrong
    executions.ExecutionEnd(attempt, execution)  # wrong
    jobs.lock_of(tx, [job])  # wrong
    jobs.lock(tx, [execution])  # wrong
    jobs.JobMove(attempt, job)  # wrong
    preemptions.record(tx, {execution: job}, reason=StopReason.PREEMPTED)  # wrong
    nodes.self_report(tx, epoch, node, degraded=None, leaving=False)  # wrong
    registration.leave(rt, epoch, node)  # wrong
    lease.fence(tx, epoch)  # wrong
    lease.fence(tx, 7)  # wrong
    EndedExecution(job, execution, attempt, node, Outcome.COMPLETED)  # wrong
    Placement(execution, attempt, ShapeId(1), node, "why", 1.0)  # wrong
"""


def test_a_swapped_pair_is_an_error_of_the_type_check(tmp_path: Path) -> None:
    module = tmp_path / "swapped.py"
    module.write_text(SWAPPED)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--no-error-summary",
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
        str(module),
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {int(number) for number in re.findall(r"swapped\.py:(\d+): error", checked.stdout)}
    wrong = {number for number, line in enumerate(SWAPPED.splitlines(), start=1) if line.endswith("# wrong")}
    assert found == wrong, checked.stdout + checked.stderr
