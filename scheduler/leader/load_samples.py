"""The leader's sample of the load, once a minute: what operators see of the past."""

from __future__ import annotations

from scheduler.identifiers import Term
from scheduler.runtime import Runtime
from scheduler.store.leader import lease, load_samples

TOLERANCE = 0.9
"""A sample may come this part of its interval after the one before: threads do not wake to the millisecond."""


def sample(rt: Runtime, term: Term) -> bool:
    """Write a sample of what waits and runs, and forget old ones; False when it was too early or the term is over."""
    with rt.db.begin() as tx:
        if not lease.fence(tx, term):
            return False
        made = load_samples.sample(tx, every_s=rt.settings.sample_s * TOLERANCE)
        load_samples.forget(tx, older_than_days=rt.settings.keep_load_days)
    return made is not None
