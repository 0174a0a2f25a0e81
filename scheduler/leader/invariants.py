"""Is everything as it must be? The protocol's invariants, asked of the database itself, at any time, beside the work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from scheduler.events import INVARIANT_VIOLATED
from scheduler.log import log
from scheduler.runtime import Runtime
from scheduler.store.leader import invariants
from scheduler.store.leader.invariants import CHECKS, Violation

_PATIENCE_S = 300.0
"""For one check over the whole history of a large installation."""


def check(rt: Runtime, *, hours: float | None = 24.0) -> list[Violation]:
    """Return what breaks an invariant, at most 20 of each; an empty list is as it should be.

    What is live is judged whole; history only of jobs that changed in the last `hours` (None: of all jobs). Reads only,
    each check in a transaction of its own.
    """
    found: list[Violation] = []
    for one in CHECKS:
        with rt.db.begin() as tx:
            invariants.take_time(tx, _PATIENCE_S)
            found += invariants.violations(tx, one, hours=hours)
    return found


@dataclass(slots=True)
class ViolationCounts:
    """What the leader's own checks have found so far, by invariant; what stays broken counts again at every check."""

    found: Counter[str] = field(default_factory=lambda: Counter({one.number: 0 for one in CHECKS}))

    def check(self, rt: Runtime, *, hours: float) -> None:
        """Check once and count what is found; each finding is a line of the log."""
        for one in check(rt, hours=hours):
            self.found[one.number] += 1
            log.error(INVARIANT_VIOLATED, invariant=one.number, says=one.says, subject=one.subject, detail=one.detail)
