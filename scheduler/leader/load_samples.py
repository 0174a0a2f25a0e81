"""Load samples: once a minute the leader records how much waits and runs, for operators to see later."""

from __future__ import annotations

from scheduler.identifiers import Term
from scheduler.runtime import Runtime
from scheduler.store.leader import balance_samples, lease, load_samples

TOLERANCE = 0.9
"""The part of the interval that must have passed since the last sample: threads do not wake to the millisecond."""


def sample(rt: Runtime, term: Term) -> bool:
    """Write a sample and delete old ones; return False if it was too early or the term is over."""
    with rt.db.begin() as tx:
        if not lease.fence(tx, term):
            return False
        made = load_samples.sample(tx, every_s=rt.settings.sample_s * TOLERANCE)
        if made is not None:
            balance_samples.sample(tx, made)
        load_samples.forget(tx, older_than_days=rt.settings.keep_load_days)
    return made is not None
