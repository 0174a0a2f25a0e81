"""Fairness between projects: what each holds of the dominant resource, by weight and job size, and after an absence.

The real `place` in virtual time (`scheduler/replay/replay.py`), on a small fleet. Two projects have endless work, of
jobs of very different sizes; the share is that of the dominant resource x time, after an hour of settling. Then
one project stays away for a day and comes back: what each of the others is left with, of what its weight says, in the hour that follows.
"""

from __future__ import annotations

import random

from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.resources import Resources
from tests.bench.figures import figure
from tests.support.endless import Kind, capacity, endless, held, ran_out, watch
from tests.support.placement import a_node

HOUR = 3600.0
SETTLED, UNTIL = HOUR, 12 * HOUR
SEEDS = (5, 6, 7)
BAR, LEAST = 0.02, 0.75
"""The share may be off by so much; who stayed keeps so much of its due at least, though jobs that run go on to their ends."""

NODES = [a_node(number, cpus=16, mem=64_000, custom={"gpu": 4}) for number in range(1, 5)]
FLEET = capacity(NODES)


def _kind(
    cpus: float, mem: int = 0, gpus: int = 0, count: int = 1, seconds: tuple[float, float] = (600.0, 1800.0)
) -> Kind:
    return Kind(Resources.of(cpus=cpus, mem=mem, custom={"gpu": gpus} if gpus else None), count, seconds)


# Sizes of which both projects want more of the same than there is, whatever the weights: only then is a share anybody's due.
SIZES = {
    "1 cpu, 2 cpus": (_kind(1), _kind(2)),
    "1 cpu, a whole node": (_kind(1), _kind(16)),
    "3 cpus, 5 cpus of a third the length": (_kind(3), _kind(5, seconds=(200.0, 600.0))),
    "more cpus, more memory": (_kind(1, mem=2000), _kind(0.5, mem=4000)),
    "a node's cpus, a node's memory": (_kind(16, mem=1000), _kind(1, mem=64_000)),
    "nearly a node's cpus, nearly half its memory": (_kind(15, mem=1000), _kind(1, mem=30_000)),
    "1 cpu, gangs of half the fleet": (_kind(1), _kind(4, count=8)),
    "3 cpus, gangs of two whole nodes": (_kind(3), _kind(16, count=2)),
    "2 cpus, a gpu with 3 cpus": (_kind(2), _kind(3, gpus=1)),
    "1 gpu, 4 gpus": (_kind(1, gpus=1), _kind(1, gpus=4)),
}
# At other weights than equal ones both can have more than the ratio of weights gives them.
ONLY_EQUAL = {"nearly a node's cpus, nearly half its memory"}
WEIGHTS = ((1.0, 1.0), (1.0, 3.0), (3.0, 1.0))
RETURNS = {
    "small jobs": (_kind(4, seconds=(120.0, 360.0)), _kind(4, seconds=(120.0, 360.0))),
    "whole nodes": (_kind(4, seconds=(120.0, 360.0)), _kind(16, seconds=(120.0, 360.0))),
    "long jobs": (_kind(4), _kind(4)),
    "small jobs, of a third project": (_kind(2), _kind(4), _kind(4)),
}
RETURN_WEIGHTS = ((1.0, 1.0, 1.0), (1.0, 3.0, 3.0), (3.0, 1.0, 1.0))


def _shares(sizes: str, weights: tuple[float, float]) -> None:
    due, found = weights[0] / sum(weights), [_held(sizes, weights, seed) for seed in SEEDS]
    shares = [one / (one + two) for one, two, _ in found]
    figure(
        "fairness",
        "share",
        max(shares, key=lambda share: abs(share - due)),
        "of what both hold, the worst of some seeds",
        sizes=sizes,
        weights=weights,
        one_job=[round(kind.share(FLEET), 3) for kind in SIZES[sizes]],
        shares=[round(share, 3) for share in shares],
        in_use=round(min(one + two for one, two, _ in found), 3),
        bar=f"{due} +- {BAR}",
        held=all(abs(share - due) <= BAR for share in shares) and all(enough for *_, enough in found),
    )


def _held(sizes: str, weights: tuple[float, float], seed: int) -> tuple[float, float, bool]:
    """What each project held, and whether both had work to the end."""
    chance = random.Random(seed)
    jobs = [
        job
        for project, kind in enumerate(SIZES[sizes], 1)
        for job in endless(chance, kind, project, FLEET, until=UNTIL)
    ]
    outcome = watch(jobs, NODES, Policy(weights=dict(enumerate(weights, 1))), UNTIL)
    one, two = (held(outcome, project, FLEET, since=SETTLED, until=UNTIL) for project in (1, 2))
    return one, two, not any(ran_out(outcome, project) for project in (1, 2))


def _return(name: str, kinds: tuple[Kind, ...], weights: tuple[float, ...], day: float = 24 * HOUR) -> None:
    """The others have had the fleet for themselves for a day when the last project comes back."""
    chance, until, last = random.Random(6), day + HOUR, len(kinds)
    jobs = [
        job
        for project, kind in enumerate(kinds, 1)
        for job in endless(chance, kind, project, FLEET, since=day if project == last else 0.0, until=until)
    ]
    outcome = watch(jobs, NODES, Policy(weights=dict(enumerate(weights, 1))), until)
    shares = [held(outcome, project, FLEET, since=day, until=until) for project in range(1, last + 1)]
    whole = sum(shares)
    left = [share / whole * sum(weights) / weight for share, weight in zip(shares, weights, strict=True)]
    figure(
        "fairness",
        "return",
        min(left[:-1]),
        "of its due, in the hour after, kept by who stayed",
        jobs=name,
        weights=weights,
        shares=[round(share / whole, 3) for share in shares],
        bar=f">= {LEAST}",
        held=min(left[:-1]) >= LEAST and not any(ran_out(outcome, project) for project in range(1, last + 1)),
    )


def main() -> None:
    """All sizes with all weights, and returns."""
    for weights in WEIGHTS:
        for sizes in SIZES:
            if sizes not in ONLY_EQUAL or weights == (1.0, 1.0):
                _shares(sizes, weights)
    for name, kinds in RETURNS.items():
        for kept in RETURN_WEIGHTS:
            _return(name, kinds, kept[: len(kinds)])


if __name__ == "__main__":
    main()
