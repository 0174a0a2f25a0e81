"""The tick: one turn of the scheduler. It reads what changed, makes a plan, commits what is still valid, and delivers it.

Delivery comes after the commit, never inside the transaction: after a crash between the two, nodes learn of their
placements with their next heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from scheduler.cluster_state import ClusterState
from scheduler.executions import withdrawal
from scheduler.identifiers import ExecutionId, Term
from scheduler.leader.dispatch import DispatchBatch
from scheduler.rules.cluster.plan import Plan, Preemption
from scheduler.rules.cluster.running import ActiveExecution
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.lifecycle.outcome import StopReason
from scheduler.rules.placement.placement import place
from scheduler.runtime import Runtime
from scheduler.store.executions import executions
from scheduler.store.jobs import jobs, preemptions
from scheduler.store.leader import lease, plans


class TermOver(Exception):
    """Another scheduler has taken over; this tick has written nothing."""


@dataclass(slots=True)
class TickResult:
    """The jobs that one tick placed, the jobs that lost a race at the commit, and the plan."""

    placed: int = 0
    lost: int = 0
    plan: Plan = field(default_factory=Plan)


def tick(
    rt: Runtime,
    state: ClusterState,
    term: Term,
    deliver: Callable[[DispatchBatch], None],
    resolve: Callable[[], None] = lambda: None,
) -> TickResult:
    """Place what can be placed now, at most `tick_limit` jobs. `resolve` is called first where needs of jobs have changed.

    Raises TermOver if another scheduler leads. After any other exception the cluster state is in doubt: make a new one.
    """
    # 1. Read.
    refresh(rt, state)
    if state.needs_changed:
        resolve()
        refresh(rt, state)
    # 2. Decide.
    snapshot = state.snapshot()
    plan = place(snapshot, state.now, state.chance(), limit=rt.settings.tick_limit)
    if plan.preemptions:
        deliver(_preempt(rt, state, term, plan.preemptions))
    if plan.recalls:
        deliver(_recall(rt, term, plan.recalls))
    # 3. Commit what is still valid, 4. remember it, and deliver.
    if plan.placements:
        placed = _commit(rt, state, term, plan)
        deliver(_by_node(placed))
        rt.nudge("jobs")
        won = {p.job_id for p in placed}
        return TickResult(placed=len(won), lost=len({p.job_id for p in plan.placements} - won), plan=plan)
    if plan.carried != state.carried:
        with rt.db.begin() as tx:
            _carry(tx, state, term, plan)
    return TickResult(plan=plan)


def refresh(rt: Runtime, state: ClusterState) -> None:
    """Bring the cluster state up to date: by one statement that commits by itself, but for the first time."""
    if state.is_read:
        with rt.keyed.connect() as tx:
            state.refresh(tx)
    else:
        with rt.db.begin() as tx:
            state.refresh(tx)


def _commit(rt: Runtime, state: ClusterState, term: Term, plan: Plan) -> list[plans.CommittedPlacement]:
    """Commit the plan and take it over into the cluster state; return the placements that are still valid."""
    shapes = {p.shape_id: state.queue.groups[p.shape_id].shape for p in plan.placements}
    with rt.moves.begin() as tx:
        placed = plans.commit(tx, plan.placements, shapes, lease_s=rt.settings.lease_s, term=term)
        if not placed and not lease.fence(tx, term):
            raise TermOver
        lost = sorted({p.job_id for p in plan.placements} - {p.job_id for p in placed})
        if lost:
            state.reread(tx, lost)
        if plan.carried != state.carried:
            _carry(tx, state, term, plan)
    shape_of = {p.job_id: shapes[p.shape_id] for p in plan.placements}
    for p in placed:
        state.started(_run(p, shape_of[p.job_id], state))
    return placed


def _carry(tx: Connection, state: ClusterState, term: Term, plan: Plan) -> None:
    """Store the plan's reservations for the next plan and for forecasts. Call it last: it blocks the leader's sign of life."""
    if not lease.carry(tx, term, plan.carried):
        raise TermOver
    state.carried = plan.carried


def _preempt(rt: Runtime, state: ClusterState, term: Term, wanted: Sequence[Preemption]) -> DispatchBatch:
    """Ask executions to stop whose room a more urgent job takes; return the nodes to ring. A repeat asks nothing new.

    The next refresh of the cluster state marks these executions as stopping. An execution that is not claimed yet, or whose
    job is locked, is asked in a later tick: a client that keeps the lock of one job must not keep all others from being placed.
    """
    chosen = [execution_id for preemption in wanted for execution_id in preemption.execution_ids]
    victims = {state.running[execution_id].job_id for execution_id in chosen}
    with rt.db.begin() as tx:
        if not lease.fence(tx, term):
            raise TermOver
        locked = jobs.lock(tx, victims, wait=False)
        names = executions.request_cancel(tx, sorted(locked), reason=StopReason.PREEMPTED)
        urgents = {state.running[one].job_id: taken.job_id for taken in wanted for one in taken.execution_ids}
        preemptions.record(tx, {victim: urgents[victim] for victim in sorted(locked)}, reason=StopReason.PREEMPTED)
    return DispatchBatch(ring=names)


def _recall(rt: Runtime, term: Term, wanted: Sequence[ExecutionId]) -> DispatchBatch:
    """Take back what waits ahead of room: at once where no node has it yet, else its node is asked. A repeat asks nothing new."""
    with rt.db.begin() as tx:
        if not lease.fence(tx, term):
            raise TermOver
        names = withdrawal.recall(tx, rt, wanted, "it was taken back before it started")
    return DispatchBatch(ring=names)


def _run(p: plans.CommittedPlacement, shape: Shape, state: ClusterState) -> ActiveExecution:
    longest_s = state.predictor.longest_s(shape.project_id, shape.job_type_id, shape.timeout_s, p.resources)
    return ActiveExecution(
        p.execution_id,
        p.node_id,
        p.resources,
        started=state.now,
        expected_s=p.expected_s,
        timeout_s=shape.timeout_s,
        job_id=p.job_id,
        job_type_id=shape.job_type_id,
        project_id=shape.project_id,
        priority=shape.priority,
        preemptible=shape.preemptible,
        longest_s=longest_s,
        serial=shape.serial,
        ahead=p.ahead,
        brief_s=state.predictor.short_s(
            shape.project_id, shape.job_type_id, shape.timeout_s, p.resources, state.policy.ahead_s
        ),
        shape_id=shape.id,
    )


def _by_node(placed: Sequence[plans.CommittedPlacement]) -> DispatchBatch:
    delivery: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for p in placed:
        delivery.setdefault((p.node_name, p.node_epoch), []).append((p.execution_id, p.attempt))
    return DispatchBatch(delivery)
