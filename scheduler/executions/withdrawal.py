"""Withdrawal: a placement that no node has claimed is taken back, and its job returns to the queue uncharged.

This happens when a node does not claim in time, when a node drains, and when a node is lost. A placement that was claimed
in the meantime is left alone: the guard of `executions.withdraw` decides, not what was read before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from scheduler.executions import outcome
from scheduler.executions.gangs import EndedExecution
from scheduler.identifiers import ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.moves import ExecutionStatus
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.runtime import Runtime
from scheduler.store.executions import executions, launch_failures, starts
from scheduler.store.jobs import events, jobs
from scheduler.store.nodes import nodes, pools

_BATCH = 1000
"""Placements withdrawn in one transaction: enough to be cheap, few enough not to hold locks for long."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The placements that were withdrawn, and the nodes that must stop other members of the same gangs.

    Ring these nodes after the commit.
    """

    ended: list[EndedExecution] = field(default_factory=list)
    to_ring: list[str] = field(default_factory=list)


def withdraw_late(rt: Runtime) -> int:
    """Withdraw placements that no node has claimed by their deadline; return how many. One transaction.

    A job to which this happens too often is held for an operator.
    """
    with rt.db.begin() as tx:
        late = executions.late(tx, deadline_s=rt.settings.claim_deadline_s, limit=_BATCH)
        if not late:
            return 0
        why = f"not claimed within {rt.settings.claim_deadline_s:g} s"
        nodes.lock_all(tx, late.values())
        locked = jobs.lock_of(tx, late)
        withdrawn = _withdraw(tx, rt, locked, executions.lock(tx, late).values(), why)
        _hold_hopeless(tx, rt, locked, withdrawn.ended)
        for node_id, count in sorted(Counter(end.node_id for end in withdrawn.ended).items()):
            launch_failures.count(tx, node_id, count)
    rt.nudge("tick")
    rt.ring(withdrawn.to_ring)
    return len(withdrawn.ended)


def withdraw_from_draining(tx: Connection, rt: Runtime, node_id: NodeId, why: str) -> Withdrawn:
    """Withdraw every unclaimed placement of a node that drains; the caller holds the node's lock.

    These withdrawals do not count towards holding a job.
    """
    ids = executions.of_node(tx, node_id)
    if not ids:
        return Withdrawn()
    locked = jobs.lock_of(tx, ids)
    withdrawn = _withdraw(tx, rt, locked, executions.lock(tx, ids).values(), why)
    pools.excuse(tx, [end.job_id for end in withdrawn.ended if not locked[end.job_id].charged])
    return withdrawn


def end_unclaimed(tx: Connection, rows: Iterable[executions.LockedExecution], why: str) -> list[EndedExecution]:
    """End those of the placements that no node has claimed and return them; the caller settles their jobs."""
    unclaimed = [row for row in rows if row.status == ExecutionStatus.QUEUED and not row.released]
    ids = executions.withdraw(tx, [(row.id, row.attempt) for row in unclaimed], why)
    return [
        EndedExecution(row.id, row.job_id, row.attempt, row.node_id, Outcome.WITHDRAWN, message=why)
        for row in unclaimed
        if row.id in ids
    ]


def end_unstarted(tx: Connection, rows: Iterable[executions.LockedExecution], why: str) -> list[EndedExecution]:
    """End those that wait ahead of room and never started, and return them; the caller settles their jobs, uncharged."""
    waiting = [row for row in rows if row.is_ahead and not row.released]
    ids = executions.withdraw(tx, [(row.id, row.attempt) for row in waiting], why)
    return [
        EndedExecution(row.id, row.job_id, row.attempt, row.node_id, Outcome.UNSTARTED, message=why)
        for row in waiting
        if row.id in ids
    ]


def recall(tx: Connection, rt: Runtime, ids: Iterable[ExecutionId], why: str) -> list[str]:
    """Take back what waits ahead of room: at once where no node has claimed it, else the node is asked; return whom to ring.

    A node that has started one meanwhile says so, and it goes on. The caller holds the locks of the jobs, or none at all:
    jobs that somebody else has locked are left for the next time.
    """
    wanted = list(ids)
    if not wanted:
        return []
    locked = jobs.lock_of(tx, wanted, wait=False)
    rows = [row for row in executions.lock(tx, _of(tx, wanted, locked)).values() if row.is_ahead]
    unclaimed = [row for row in rows if row.status == ExecutionStatus.QUEUED]
    ended = end_unstarted(tx, unclaimed, why)
    if ended:
        rt.nudge("tick")
    to_ring = outcome.settle(tx, rt, locked, ended, "scheduler").to_tell
    asked = [row.id for row in rows if row.status == ExecutionStatus.AHEAD]
    return sorted({*to_ring, *(starts.recall(tx, asked) if asked else [])})


def withdraw_recalled(rt: Runtime) -> int:
    """End what was recalled before any node had claimed it, uncharged; return how many. One transaction."""
    with rt.db.begin() as tx:
        ids = starts.recalled(tx, _BATCH)
        to_ring = recall(tx, rt, ids, "it was taken back before it started")
    rt.ring(to_ring)
    return len(ids)


def _of(tx: Connection, ids: Iterable[ExecutionId], locked: dict[JobId, jobs.LockedJob]) -> list[ExecutionId]:
    return [row.id for row in executions.read(tx, ids).values() if row.job_id in locked]


def _withdraw(
    tx: Connection,
    rt: Runtime,
    locked: dict[JobId, jobs.LockedJob],
    rows: Iterable[executions.LockedExecution],
    why: str,
) -> Withdrawn:
    """End the unclaimed ones of the placements and queue their jobs again."""
    ended = end_unclaimed(tx, rows, why)
    return Withdrawn(ended, outcome.settle(tx, rt, locked, ended, "scheduler").to_tell)


def _hold_hopeless(
    tx: Connection, rt: Runtime, locked: dict[JobId, jobs.LockedJob], withdrawn: list[EndedExecution]
) -> None:
    """Hold jobs that were placed again and again and never claimed: nothing is charged, so they would go round for ever.

    A gang of which only some members were claimed is given back rather than withdrawn; it is counted here too.
    """
    jobs.count_withdrawal(tx, sorted({end.job_id for end in withdrawn if locked[end.job_id].charged}))
    limit = rt.settings.max_withdrawals
    hopeless = [end.job_id for end in withdrawn if locked[end.job_id].withdrawals + 1 >= limit]
    if hopeless:
        reason = f"placed {limit} times, but no node claimed it"
        held = jobs.hold(tx, hopeless, held=True, reason=reason)
        events.record(tx, held, "HOLD", actor="scheduler", reason=reason)
