"""Which of the executions ahead are taken back from their nodes."""

import numpy as np

from scheduler.identifiers import ExecutionId
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.running import ActiveExecution
from scheduler.rules.placement import filters
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.run_ahead.ahead_room import NOBODY, SOON, AheadRoom, shares

_STALE = 5.0
"""What has waited ahead for so many times `ahead_s`, and some seconds, was a wrong guess: it goes back to the queue."""

_STALE_S = 5.0

_WORTH_S = 0.1
"""What would start in less than this where it is, is not taken to another node."""


def chosen(
    snapshot: Snapshot, state: PlanState, now: float, allowed_s: float, room: AheadRoom | None
) -> tuple[ExecutionId, ...]:
    """Return what is to be taken back: for somebody more urgent, for a pause, for a node that is idle, or as a wrong guess.

    `room` is None where nobody waits for what frees next.
    """
    waiting = [run for run in snapshot.running.ahead() if not run.stopping]
    found = [run.execution_id for run in waiting if _is_unwanted(run, snapshot, state, now, allowed_s, room)]
    gone = set(found)
    found += _movable([run for run in waiting if run.execution_id not in gone], snapshot, state, allowed_s, room)
    return tuple(found)


def _is_unwanted(
    run: ActiveExecution, snapshot: Snapshot, state: PlanState, now: float, allowed_s: float, room: AheadRoom | None
) -> bool:
    """Whether it should not wait on its node any longer."""
    row, policy = snapshot.nodes.row(run.node_id), snapshot.policy
    if row is None or not snapshot.nodes.at(row).ready:
        return False  # nobody can ask it
    node, kept = snapshot.nodes.at(row), state.reserved.get(row)
    return (
        not allowed_s
        or policy.scheduler_paused
        or run.project_id in policy.paused_projects
        or run.job_type_id in policy.paused_types
        or node.paused
        or node.draining
        or node.pool in policy.paused_pools
        or now - run.started > _STALE * allowed_s + _STALE_S
        or (kept is not None and kept.start <= now + SOON * allowed_s)
        or (room is not None and run.priority > int(room.wanted_by[row]))
    )


def _movable(
    waiting: list[ActiveExecution], snapshot: Snapshot, state: PlanState, allowed_s: float, room: AheadRoom | None
) -> list[ExecutionId]:
    """Return the last of those that wait, as many as nodes with free room could take at once."""
    nodes, free = snapshot.nodes, state.free.copy()
    open_rows = nodes.ready() & (free[:2] > 0).all(axis=0)
    open_rows[list(state.reserved)] = False
    if room is not None:
        open_rows &= room.wanted_by == NOBODY
    if not open_rows.any():
        return []
    found: list[ExecutionId] = []
    wait_s = _waits(waiting, snapshot, allowed_s)
    for run in sorted(waiting, key=lambda one: (-one.priority, -one.execution_id)):
        group = snapshot.queue.groups.get(run.shape_id)
        if group is not None and wait_s[run.execution_id] >= _WORTH_S:
            need = nodes.vector(run.resources)
            where = filters.eligible(group.shape, nodes, snapshot.policy) & open_rows & filters.holds(need, free)
            rows = np.flatnonzero(where)
            if len(rows):
                free[:, rows[0]] -= need
                found.append(run.execution_id)
    return found


def _waits(waiting: list[ActiveExecution], snapshot: Snapshot, allowed_s: float) -> dict[int, float]:
    """Return for each execution about how long it will wait where it is, in seconds."""
    before: dict[int, float] = {}
    waits: dict[int, float] = {}
    for run in sorted(waiting, key=lambda one: (one.priority, one.execution_id)):
        row, share = snapshot.nodes.row(run.node_id), 1.0
        if row is not None:
            need = snapshot.nodes.vector(run.resources)
            share = float(shares(need, snapshot.nodes.capacity[:, [row]])[0])
        waits[run.execution_id] = before.get(run.node_id, 0.0)
        before[run.node_id] = waits[run.execution_id] + share * min(run.brief_s, allowed_s)
    return waits
