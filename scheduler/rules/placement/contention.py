"""Contention: which projects wait for room, and which of them for the same nodes.

Projects that wait for the same nodes owe each other their parts of them (`fairshare.accrue`).
"""

from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import Plan, Snapshot
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.placement import reservation_rights
from scheduler.rules.placement.plan_state import PlanState

_FOR_ROOM = frozenset({Reason.NO_ROOM, Reason.GANG})


def contests(snapshot: Snapshot, plan: Plan) -> list[set[int]]:
    """Return the projects of which a plan left jobs waiting that would start if there were room, grouped by rivalry.

    The plan was made from that snapshot. Projects are in one group if they wait for the same nodes, or for nodes for
    which others between them wait. Projects that are paused or at a limit do not count, nor those whose jobs would
    not fit if the nodes were empty: nobody owes them anything.
    """
    found: list[tuple[set[int], Mask]] = []
    for project, where in _wanted(snapshot, plan).items():
        apart, rivals, nodes = list[tuple[set[int], Mask]](), {project}, where
        for others, theirs in found:
            if (theirs & where).any():
                rivals, nodes = rivals | others, nodes | theirs
            else:
                apart.append((others, theirs))
        found = [*apart, (rivals, nodes)]
    return [rivals for rivals, _ in found]


def _wanted(snapshot: Snapshot, plan: Plan) -> dict[int, Mask]:
    """Return, for each project, the rows of nodes where its jobs wait for room."""
    wanted: dict[int, Mask] = {}
    state: PlanState | None = None
    for refusal in plan.refusals.values():
        group = snapshot.queue.ready_groups.get(refusal.shape_id)
        if group is not None and refusal.reason in _FOR_ROOM:
            state = state or PlanState(snapshot)
            where = reservation_rights.rows_once_empty(group.shape, state, snapshot.policy)
            if where.any():
                project = group.shape.project_id
                wanted[project] = wanted[project] | where if project in wanted else where
    return wanted
