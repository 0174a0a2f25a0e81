"""Fair share: which project goes first, by what it holds for its weight and by what it is owed.

The *standing* of a project is its dominant share of the fleet (Ghodsi et al., "Dominant Resource Fairness", NSDI
2011), less what the others owe it, divided by its weight. The project with the smallest standing goes first.

Shares make projects even at each moment. The debt makes them even over time, also where one job is as large as the
share that is due. It is the *lag* of fair queueing (Stoica and Abdel-Wahab, "Earliest Eligible Virtual Deadline
First", 1995). Projects come to owe each other only while they wait at the same time for the same nodes. So a project
that comes back after a long absence starts level with the others and shuts nobody out, and a project pays nothing for
room that nobody else wanted.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.resources import Resources

Floats = NDArray[np.float64]

SHORTEST_HORIZON_S, LONGEST_HORIZON_S = 1800.0, 12 * 3600.0
"""A debt is to be made good in about the time in which jobs end. These are the bounds of that time."""

OWED, OWING = 2.0, 1.0
"""Bounds of the debt within a contest, in horizons (see `accrue`).

All projects together are owed the whole fleet for about `OWED` horizons at most; each project owes it for at most
`OWING`.
"""

LEAST_WEIGHT = 0.001
"""The least weight with which a project takes part in debts."""

HALF_LIFE_S = 24 * 3600.0
"""After this time half of a project's past is forgotten."""


class Lag(NamedTuple):
    """The debt of the others to a project.

    `seconds` counts seconds of the whole fleet; below 0 the project owes them. `credit` is the share of the fleet by
    which that lifts the project now.
    """

    seconds: float = 0.0
    credit: float = 0.0


def standing(share: float, credit: float, weight: float) -> float:
    """Return the number by which projects are compared, smaller first. A weight of 0 or less goes after all others."""
    return (share - credit) / weight if weight > 0 else float("inf")


def accrue(
    before: Mapping[int, float],
    shares: Mapping[int, float],
    weights: Mapping[int, float],
    contests: Iterable[Collection[int]],
    length_s: Callable[[Collection[int]], float],
    elapsed_s: float,
) -> dict[int, Lag]:
    """Return what each project is owed after `elapsed_s` more seconds.

    `before` is the debt until now (seconds), `shares` what each holds. Each of the `contests` has the projects that
    wait for the same nodes. `length_s` returns after what time, on average, the room comes free that some projects
    hold. Within a contest each project is due, of what they hold together, the part of its weight. A project in no
    contest is owed nothing, and what it owes fades.
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
    """Return what each of some rivals is owed, by what it has lacked.

    The debts of rivals that are near each other add up to nothing.

    A rival that is too far from the middle one is put at the bound, and the others are compared among themselves. So
    a project that has far more than its part and cannot give it back, or one that can never use its own, does not
    decide what the others owe each other.
    """
    lags = lacks / weights
    order = np.argsort(lags, kind="stable")
    # The weighted median: a single rival, however far away, cannot move it as it would move the mean.
    heavier = np.cumsum(weights[order])
    middle = lags[order[np.searchsorted(heavier, heavier[-1] / 2, side="right")]]
    least, most = middle - OWING * horizon_s / weights, middle + OWED * horizon_s / weights.sum()
    near = (least <= lags) & (lags <= most)
    # The level is 0 for the rivals within the bounds together; the others are cut off at their bounds.
    level = (lags * weights)[near].sum() / weights[near].sum()
    return np.asarray((np.clip(lags, least, most) - level) * weights)


def decayed(usage: float, share: float, elapsed_s: float) -> float:
    """Return the average `usage`, 0 to 1, after `elapsed_s` more seconds in which `share` of the fleet was held."""
    remembered: float = 0.5 ** (max(0.0, elapsed_s) / HALF_LIFE_S)
    return usage * remembered + share * (1 - remembered)


def share_of(held: Resources, fleet: Resources) -> float:
    """Return a project's dominant share of a fleet, 0 to 1.

    The fleet is all nodes that exist, also those that are silent or paused at the moment: a project on the only node
    with gpus holds no more of them when that node falls silent. A resource that no node has any more does not count.
    """
    return min(1.0, held.dominant_share(fleet))
