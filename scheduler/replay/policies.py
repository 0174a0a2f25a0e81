"""The policies that a replay can be run under: the live default, and two well-known ones to hold it against."""

from scheduler.rules.cluster.policy import Policy

POLICIES: dict[str, Policy] = {
    "ganger": Policy(),
    "easy": Policy(weighing=False, predict=False, reservations=1),
    "fcfs": Policy(weighing=False, predict=False, reservations=0, backfill=False),
}
"""By name. `easy`: first come first served, one reservation, backfill in the same order, limits taken for run times;
`fcfs`: nobody passes anybody."""
