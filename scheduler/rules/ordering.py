"""Which waiting job goes first: by priority, then by project share, then by age (in steps), as a contest of lines."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import floor, log2

from scheduler.rules.waiting import Line

_STEPS = 16
"""Steps of age for every doubling of the wait: waits that differ by less than 4 % count as equal."""


@dataclass(slots=True, eq=False)
class Front:
    """The foremost jobs of one line while a plan is made: all from entry `cursor` on still wait (before it, for LIFO)."""

    line: Line
    cursor: int
    expected_s: float
    step: float = 0.0

    def __lt__(self, other: "Front") -> bool:
        return (self.step, self.line.shape.id) < (other.step, other.line.shape.id)


@dataclass(slots=True, eq=False)
class Entrant:
    """A project with jobs of one priority: its standing, and its fronts as a heap."""

    project_id: int
    standing: float = 0.0
    fronts: list[Front] = field(default_factory=list)

    def __lt__(self, other: "Entrant") -> bool:
        return (self.standing, self.project_id) < (other.standing, other.project_id)


def contests(fronts: Iterable[Front], standing: Callable[[int], float]) -> list[list[Entrant]]:
    """One heap of projects per priority, most urgent first."""
    levels: dict[int, dict[int, Entrant]] = {}
    for front in fronts:
        shape = front.line.shape
        entrants = levels.setdefault(shape.priority, {})
        entrants.setdefault(shape.project_id, Entrant(shape.project_id)).fronts.append(front)
    for entrants in levels.values():
        for entrant in entrants.values():
            heapq.heapify(entrant.fronts)
            entrant.standing = standing(entrant.project_id)
    return [list(levels[priority].values()) for priority in sorted(levels)]


def age_step(now: float, queued_at: float) -> int:
    """Waits in steps, longest first: two jobs of one step are of equal age."""
    return -floor(_STEPS * log2(1.0 + max(0.0, now - queued_at)))


def step_ends(now: float, step: int) -> float:
    """The latest `queued_at` that is still in the step, or before it."""
    wait: float = 2.0 ** (-step / _STEPS) - 1.0
    return now - wait
