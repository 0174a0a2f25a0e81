"""Which projects wait for room: those that are owed their share of it."""

from scheduler.rules import claims
from scheduler.rules.filters import Reason
from scheduler.rules.ledger import Ledger
from scheduler.rules.plan import Plan, Snapshot

_FOR_ROOM = frozenset({Reason.NO_ROOM, Reason.GANG})


def contending(snapshot: Snapshot, plan: Plan) -> set[int]:
    """The projects of which the plan, made from that snapshot, left jobs waiting that would start were there room.

    Not who is paused or at a limit, and not who asks for what the nodes could not give even were they empty: nobody owes them anything.
    """
    found: set[int] = set()
    ledger: Ledger | None = None
    for refusal in plan.refusals.values():
        line = snapshot.queue.standing.get(refusal.shape_id)
        if line is None or refusal.reason not in _FOR_ROOM or line.shape.project_id in found:
            continue
        ledger = ledger or Ledger(snapshot)
        if claims.could_sit(line.shape, ledger, snapshot.policy).any():
            found.add(line.shape.project_id)
    return found
