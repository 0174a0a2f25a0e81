"""The policies of replays: the default of the live scheduler, and two well-known ones to compare with."""

from scheduler.rules.cluster.policy import Policy

POLICIES: dict[str, Policy] = {
    "ganger": Policy(),
    "easy": Policy(weighing=False, predict=False, reservations=1),
    "fcfs": Policy(weighing=False, predict=False, reservations=0, backfill=False),
}
"""By name. `easy` is EASY backfilling (Lifka 1995): first come first served, one reservation, backfill in the same order,
and time limits stand for run times. `fcfs` is first come first served without backfill."""
