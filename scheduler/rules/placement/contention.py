"""Which projects wait for room, and which of them for the same: those that are owed their part of it by one another."""

from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import Plan, Snapshot
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.placement import reservation_rights
from scheduler.rules.placement.plan_state import PlanState

_FOR_ROOM = frozenset({Reason.NO_ROOM, Reason.GANG})


def contests(snapshot: Snapshot, plan: Plan) -> list[set[int]]:
    """The projects of which the plan, made from that snapshot, left jobs waiting that would start were there room.

    Those are together that wait for the same nodes, or for nodes that others in between wait for too. Not who is paused or at a
    limit, and not who asks for what the nodes could not give even were they empty: nobody owes them anything.
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
    """Where jobs of each project wait for room."""
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
