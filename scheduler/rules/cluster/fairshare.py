"""Who goes first among projects: the one that holds the least for its weight, and is owed the most.

A project's standing is its dominant share of the fleet now (Ghodsi et al., Dominant Resource Fairness, 2011), less what the
others owe it, over its weight. What runs now makes the shares even at once; what is owed, the *lag* of fair queueing (Stoica
and Abdel-Wahab, Earliest Eligible Virtual Deadline First, 1995), makes them exact over time, also where a single job is as large
as the share that is due. Only those that wait at the same time for the same nodes come to owe one another: who comes back after
a long absence starts level with them and shuts nobody out, and what a project holds while nobody else wants it costs it nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.resources import Resources

Floats = NDArray[np.float64]

SHORTEST_HORIZON_S, LONGEST_HORIZON_S = 1800.0, 12 * 3600.0
"""What is owed is to be made good in about the time in which jobs end, between these."""

OWED, OWING = 2.0, 1.0
"""In a contest all are together owed the whole fleet for about so many horizons at most, and each one owes it for so many."""

LEAST_WEIGHT = 0.001
"""The least that a project may weigh; one that weighs less has no part in what is owed."""

HALF_LIFE_S = 24 * 3600.0
"""After this time half of a project's past is forgotten."""


class Lag(NamedTuple):
    """What a project is owed: seconds of the whole fleet, below 0 it owes; and the share of the fleet by which that lifts it now."""

    seconds: float = 0.0
    credit: float = 0.0


def standing(share: float, credit: float, weight: float) -> float:
    """The number by which projects are compared, smaller first. A weight of 0 or less goes after all others."""
    return (share - credit) / weight if weight > 0 else float("inf")


def accrue(
    before: Mapping[int, float],
    shares: Mapping[int, float],
    weights: Mapping[int, float],
    contests: Iterable[Collection[int]],
    length_s: Callable[[Collection[int]], float],
    elapsed_s: float,
) -> dict[int, Lag]:
    """What each project is owed after `elapsed_s` more seconds, by what it was owed before (seconds) and what it holds.

    `contests` are the projects that wait, those together that wait for the same nodes; `length_s` tells after what time the room that some
    projects hold comes free, on average. In a contest each one is due its weight's part of what they hold together. Who is in
    none is owed nothing, and what it owes only fades.
    """
    remembered = 0.5 ** (max(0.0, elapsed_s) / HALF_LIFE_S)
    lags = {
        one: Lag(owing, owing / SHORTEST_HORIZON_S)
        for one, lag in before.items()
        for owing in [min(0.0, lag * remembered)]
    }
    for contest in contests:
        rivals = sorted(one for one in contest if weights.get(one, 1.0) >= LEAST_WEIGHT)
        if rivals:
            horizon_s = min(max(length_s(rivals), SHORTEST_HORIZON_S), LONGEST_HORIZON_S)
            lacks = [before.get(one, 0.0) * remembered - shares.get(one, 0.0) * elapsed_s for one in rivals]
            owed = _levelled(np.array(lacks), np.array([weights.get(one, 1.0) for one in rivals]), horizon_s)
            lags.update((one, Lag(lag, lag / horizon_s)) for one, lag in zip(rivals, owed.tolist(), strict=True))
    return lags


def _levelled(lacks: Floats, weights: Floats, horizon_s: float) -> Floats:
    """What each of some rivals is owed, by what it has lacked: between those that are not too far apart, in all nothing.

    Who is too far from the middle one is put at the bound, and the others are compared among themselves: so one that has far more
    than its part and cannot give it back, or one that can never use its own, does not decide what the others owe one another.
    """
    lags = lacks / weights
    order = np.argsort(lags, kind="stable")
    heavier = np.cumsum(weights[order])
    middle = lags[order[np.searchsorted(heavier, heavier[-1] / 2, side="right")]]
    least, most = middle - OWING * horizon_s / weights, middle + OWED * horizon_s / weights.sum()
    near = (least <= lags) & (lags <= most)
    level = (lags * weights)[near].sum() / weights[near].sum()
    return np.asarray((np.clip(lags, least, most) - level) * weights)


def decayed(usage: float, share: float, elapsed_s: float) -> float:
    """The average `usage` after `elapsed_s` more seconds in which the project held `share` of the fleet; 0 to 1."""
    remembered: float = 0.5 ** (max(0.0, elapsed_s) / HALF_LIFE_S)
    return usage * remembered + share * (1 - remembered)


def share_of(held: Resources, fleet: Resources) -> float:
    """A project's dominant share of a fleet, 0 to 1.

    The fleet is every node that is there, also one that is silent or paused at the moment: who runs on the only node with gpus
    holds no more of them when it falls silent. Of a resource that no node has any more, nobody holds anything.
    """
    return min(1.0, held.dominant_share(fleet))
