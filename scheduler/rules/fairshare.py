"""Who goes first among projects: the one that holds and has held the least for its weight.

A project's standing is its dominant share of the fleet now, plus half of what it has held of late (an average that
fades by a half-life), over its weight. What runs now makes the shares even at once; the memory makes up for what
one of them could not use. As the memory counts half, a project that comes back after a long absence gets at most three
quarters of the fleet, never all of it.
"""

from scheduler.rules.resources import Resources

MEMORY = 0.5
"""How much the past counts beside the present: 1 would let a returning project take everything from the others."""

HALF_LIFE_S = 6 * 3600.0
"""After this time without use half of a project's past is forgotten."""


def standing(share: float, usage: float, weight: float) -> float:
    """The number by which projects are compared, smaller first. A weight of 0 or less goes after all others."""
    return (share + MEMORY * usage) / weight if weight > 0 else float("inf")


def decayed(usage: float, share: float, elapsed_s: float, half_life_s: float = HALF_LIFE_S) -> float:
    """The average `usage` after `elapsed_s` more seconds in which the project held `share` of the fleet; 0 to 1."""
    kept: float = 0.5 ** (max(0.0, elapsed_s) / half_life_s)
    return usage * kept + share * (1 - kept)


def share_of(held: Resources, fleet: Resources) -> float:
    """A project's dominant share of a fleet, 0 to 1.

    The fleet is every node that is there, also one that is silent or paused at the moment: who runs on the only node with gpus
    holds no more of them when it falls silent. Of a resource that no node has any more, nobody holds anything.
    """
    return min(1.0, held.dominant_share(fleet))
