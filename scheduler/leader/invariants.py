"""Checks the protocol's invariants in the database itself, at any time, while everything goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from scheduler.events import INVARIANT_VIOLATED
from scheduler.log import log
from scheduler.runtime import Runtime
from scheduler.store.leader import invariants
from scheduler.store.leader.invariants import CHECKS, Violation

_PATIENCE_S = 300.0
"""Time limit of one check, for the whole history of a large installation."""


def check(rt: Runtime, *, hours: float | None = 24.0) -> list[Violation]:
    """Return the violations of invariants, at most 20 of each; the list should be empty.

    All live jobs and executions are checked; history is checked only of jobs that changed in the last `hours` (None: of
    all jobs). Each check is a transaction of its own, which only reads.
    """
    found: list[Violation] = []
    for one in CHECKS:
        with rt.db.begin() as tx:
            invariants.take_time(tx, _PATIENCE_S)
            found += invariants.violations(tx, one, hours=hours)
    return found


@dataclass(slots=True)
class ViolationCounts:
    """The violations that the leader's checks have found so far, by invariant; each check counts a lasting violation again."""

    found: Counter[str] = field(default_factory=lambda: Counter({one.number: 0 for one in CHECKS}))

    def check(self, rt: Runtime, *, hours: float) -> None:
        """Check once and count the violations; each one is a line of the log."""
        for one in check(rt, hours=hours):
            self.found[one.number] += 1
            log.error(INVARIANT_VIOLATED, invariant=one.number, says=one.says, subject=one.subject, detail=one.detail)
