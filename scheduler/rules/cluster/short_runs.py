"""Which shapes are sure to be short: what may wait on a node ahead of room, because the room comes in a moment.

The predictor counts whatever takes less than ten seconds as equal. This looks closer, and only at runs of the very same
shape: the mean of the last twenty or so, and the longest, which fades slowly. One long run is enough to make a shape
uncertain for a hundred runs to come.
"""

from dataclasses import dataclass
from math import inf

from scheduler.rules.cluster.resources import Resources

_FADE = 0.1
"""The weight of the newest run in the mean."""

_LONGEST_FADE = 0.03
"""How much of the longest run is forgotten with every end: one that was ten times too long counts for some eighty ends."""

FEWEST_ENDS = 3
"""Runs that must have ended before anything is believed."""

_LEAST_S = 0.002
"""No start and end of a process take less."""

_MOST_SHAPES = 20_000
"""Shapes kept; beyond that the one longest without an end is forgotten."""

Key = tuple[int, int, float | None, Resources]
"""Project, job type, time limit and requirements: the runs that are alike."""


@dataclass(slots=True)
class _Runs:
    ends: int = 0
    mean_s: float = 0.0
    longest_s: float = 0.0


class ShortRuns:
    """The run times of each shape, in seconds."""

    def __init__(self) -> None:
        self._runs: dict[Key, _Runs] = {}

    def learn(self, key: Key, run_s: float) -> None:
        """Take one more run time into account."""
        runs = self._runs.pop(key, None) or _Runs()
        runs.ends += 1
        runs.mean_s += max(_FADE, 1 / runs.ends) * (run_s - runs.mean_s)
        runs.longest_s = max(run_s, runs.longest_s * (1 - _LONGEST_FADE))
        self._runs[key] = runs
        if len(self._runs) > _MOST_SHAPES:
            del self._runs[next(iter(self._runs))]

    def expected_s(self, key: Key, most_s: float) -> float:
        """Return how long a run of this shape probably takes, if it is sure to take at most `most_s`; inf otherwise."""
        runs = self._runs.get(key)
        if runs is None or runs.ends < FEWEST_ENDS or runs.longest_s > most_s:
            return inf
        return max(_LEAST_S, runs.mean_s)
