"""Is everything as it must be? The protocol's invariants, asked of the database itself, at any time, beside the work."""

from __future__ import annotations

from scheduler.runtime import Runtime
from scheduler.store import invariants
from scheduler.store.invariants import CHECKS, Violation

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
