"""Claims: a node takes what was placed there. With room it is a try from here; ahead of room it is one once it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from scheduler import wire
from scheduler.data_sets import preparing
from scheduler.executions.task_spec import specify
from scheduler.identifiers import Epoch, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.moves import ExecutionStatus, JobStatus
from scheduler.runtime import Runtime
from scheduler.store.executions import claims as claiming
from scheduler.store.executions import executions, starts, task_specs
from scheduler.store.jobs import jobs

LockedRows = Mapping[ExecutionId, executions.LockedExecution]


def grant(
    tx: Connection,
    rt: Runtime,
    node: tuple[NodeId, Epoch],
    claims: Sequence[wire.ExecutionClaim],
    locked: Mapping[JobId, jobs.LockedJob],
    rows: LockedRows,
) -> tuple[wire.ClaimAnswer, bool]:
    """Give executions to the node (id, epoch) that asks, and return all that it needs to run them; the caller holds all locks.

    A repeat with the same token is granted again and charges nothing. And whether other jobs wait for the start of any: wake
    the leader then, after the commit.
    """
    if not claims:
        return wire.ClaimAnswer(granted=[], refused=[]), False
    asked = {c.execution_id: c for c in claims}
    fresh = [c for c in asked.values() if c.execution_id in rows and _may_claim(rows[c.execution_id], locked, c)]
    granted, awaited = _take(tx, node, fresh, rows)
    granted |= {row.id for row in rows.values() if row.id in asked and _claimed_before(row, asked[row.id], node[0])}
    found = preparing.prepared(tx, task_specs.read(tx, sorted(granted))) if granted else []
    refused = [
        wire.RefusedClaim(
            execution_id=c.execution_id, attempt=c.attempt, why=_why_refused(rows.get(c.execution_id), node)
        )
        for c in asked.values()
        if c.execution_id not in granted
    ]
    return wire.ClaimAnswer(granted=specify(tx, found, rt.settings, rt.keyring), refused=refused), awaited


def _take(
    tx: Connection, node: tuple[NodeId, Epoch], fresh: Sequence[wire.ExecutionClaim], rows: LockedRows
) -> tuple[set[ExecutionId], bool]:
    """Move what is placed there to the node: with room first, and charge those."""
    node_id, epoch = node
    with_room = [(c.execution_id, c.attempt, c.token) for c in fresh if not rows[c.execution_id].is_ahead]
    granted, awaited = set[ExecutionId](), False
    if with_room:
        granted, awaited = claiming.claim(tx, with_room, node_id=node_id, epoch=epoch)
    ahead = [(c.execution_id, c.attempt, c.token) for c in fresh if rows[c.execution_id].is_ahead]
    return granted | starts.hand_out(tx, ahead, node_id=node_id, epoch=epoch), awaited


def _may_claim(
    row: executions.LockedExecution, locked: Mapping[JobId, jobs.LockedJob], claim: wire.ExecutionClaim
) -> bool:
    job = locked[row.job_id]
    return job.status == JobStatus.RUNNING and job.attempt == row.attempt == claim.attempt


def _claimed_before(row: executions.LockedExecution, claim: wire.ExecutionClaim, node_id: NodeId) -> bool:
    return (
        row.status in {ExecutionStatus.RUNNING, ExecutionStatus.AHEAD}
        and row.claim_token == claim.token
        and row.attempt == claim.attempt
        and row.node_id == node_id
    )


def _why_refused(row: executions.LockedExecution | None, node: tuple[NodeId, Epoch]) -> str:
    if row is None:
        return "there is no such execution"
    if row.node_id != node[0]:
        return "it was placed on another node"
    if row.node_epoch != node[1]:
        return "it was placed under another epoch of this node"
    if row.is_ahead and row.status == ExecutionStatus.QUEUED:
        return "others have room on this node and were not claimed yet; it is offered again"
    return f"it is {row.status}"
