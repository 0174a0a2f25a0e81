"""Which projects wait for room, and which of them for the same: those that are owed their part of it by one another."""

import numpy as np

from scheduler.rules import claims
from scheduler.rules.filters import Reason
from scheduler.rules.ledger import Ledger
from scheduler.rules.nodes import Mask
from scheduler.rules.plan import Plan, Snapshot

_FOR_ROOM = frozenset({Reason.NO_ROOM, Reason.GANG})


def contests(snapshot: Snapshot, plan: Plan) -> list[set[int]]:
    """The projects of which the plan, made from that snapshot, left jobs waiting that would start were there room.

    Those are together that wait for the same nodes, or for nodes that others in between wait for too. Not who is paused or at a
    limit, and not who asks for what the nodes could not give even were they empty: nobody owes them anything.
    """
    groups: list[tuple[set[int], Mask]] = []
    for project, where in _wanted(snapshot, plan).items():
        met = [group for group in groups if (group[1] & where).any()]
        groups = [group for group in groups if not any(group is one for one in met)]
        rivals = {project}.union(*(group[0] for group in met))
        groups.append((rivals, np.logical_or.reduce([where, *(group[1] for group in met)])))
    return [rivals for rivals, _ in groups]


def _wanted(snapshot: Snapshot, plan: Plan) -> dict[int, Mask]:
    """Where jobs of each project wait for room."""
    wanted: dict[int, Mask] = {}
    ledger: Ledger | None = None
    for refusal in plan.refusals.values():
        line = snapshot.queue.standing.get(refusal.shape_id)
        if line is not None and refusal.reason in _FOR_ROOM:
            ledger = ledger or Ledger(snapshot)
            where = claims.could_sit(line.shape, ledger, snapshot.policy)
            if where.any():
                project = line.shape.project_id
                wanted[project] = wanted[project] | where if project in wanted else where
    return wanted
