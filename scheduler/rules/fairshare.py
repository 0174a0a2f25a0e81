"""Who goes first among projects: the one that holds the least for its weight, and is owed the most.

A project's standing is its dominant share of the fleet now (Ghodsi et al., Dominant Resource Fairness, 2011), less what the
others owe it, over its weight. What runs now makes the shares even at once; what is owed, the *lag* of fair queueing (Stoica
and Abdel-Wahab, Earliest Eligible Virtual Deadline First, 1995), makes them exact over time, also where a single job is as large
as the share that is due. Only who waits can come to be owed anything: who comes back after a long absence starts
level with the others (as in Goyal et al., Start-time Fair Queueing, 1996) and shuts nobody out, and what a project
holds while nobody else wants it costs it nothing.
"""

from collections.abc import Collection, Mapping

from scheduler.rules.resources import Resources

SHORTEST_HORIZON_S, LONGEST_HORIZON_S = 1800.0, 12 * 3600.0
"""Between these is the time for which what is held now counts: see `horizon_s`."""

LEAST_WEIGHT = 0.001
"""The least that a project may weigh; one that weighs less has no part in what is owed."""

HALF_LIFE_S = 24 * 3600.0
"""After this time half of a project's past is forgotten."""


def horizon_s(length_s: float) -> float:
    """For how long what is held now counts, where what runs takes so long on average.

    As long as that, about: were it much less, what is owed would be made good many times over before the first of those jobs end.
    """
    return min(max(length_s, SHORTEST_HORIZON_S), LONGEST_HORIZON_S)


def standing(share: float, lag_s: float, weight: float, horizon_s: float) -> float:
    """The number by which projects are compared, smaller first. A weight of 0 or less goes after all others."""
    return (share - lag_s / horizon_s) / weight if weight > 0 else float("inf")


def lags(
    before: Mapping[int, float],
    shares: Mapping[int, float],
    weights: Mapping[int, float],
    waiting: Collection[int],
    elapsed_s: float,
    horizon_s: float,
) -> dict[int, float]:
    """What each project is owed after `elapsed_s` more seconds, in seconds of the whole fleet; below 0 it has had more.

    `shares` are what those projects hold that hold anything, `waiting` those with jobs that would start were there room. The level
    to compare with is the mean of what has been had for each weight, weighed by what is held now: that of those being served. All that
    wait are together owed the whole fleet for one horizon at most: a project that could use only a few nodes for long, and then can use all,
    takes no more than that before the others are level with it.
    """
    weight = {one: each for one in {*before, *shares, *waiting} if (each := weights.get(one, 1.0)) >= LEAST_WEIGHT}
    kept = 0.5 ** (max(0.0, elapsed_s) / HALF_LIFE_S)
    had = {one: (shares.get(one, 0.0) * elapsed_s - before.get(one, 0.0) * kept) / each for one, each in weight.items()}
    served = {one: share for one, share in shares.items() if one in had}
    holding = sum(served.values())
    level = sum(share * had[one] for one, share in served.items()) / holding if holding else 0.0
    rivals = sum(each for one, each in weight.items() if one in served or one in waiting)
    return {
        one: min((level - had[one]) * each, horizon_s * each / rivals if one in waiting else 0.0)
        for one, each in weight.items()
    }


def decayed(usage: float, share: float, elapsed_s: float) -> float:
    """The average `usage` after `elapsed_s` more seconds in which the project held `share` of the fleet; 0 to 1."""
    kept: float = 0.5 ** (max(0.0, elapsed_s) / HALF_LIFE_S)
    return usage * kept + share * (1 - kept)


def share_of(held: Resources, fleet: Resources) -> float:
    """A project's dominant share of a fleet, 0 to 1.

    The fleet is every node that is there, also one that is silent or paused at the moment: who runs on the only node with gpus
    holds no more of them when it falls silent. Of a resource that no node has any more, nobody holds anything.
    """
    return min(1.0, held.dominant_share(fleet))
