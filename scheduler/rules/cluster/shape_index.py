"""Index of the shapes that a queue knows, by what they ask for.

It also names the shapes that may be removed because no job has been of them for long.
"""

from dataclasses import replace
from itertools import islice

from scheduler.identifiers import ShapeId
from scheduler.rules.cluster.shapes import Shape

MOST_IDLE = 10_000
"""Shapes without jobs that are kept all the same: some ten megabytes.

Beyond that number the shape that has been idle for longest is removed.
"""


class ShapeIndex:
    """Shapes by id and by what they ask for, and how many jobs each has."""

    def __init__(self) -> None:
        self._ids: dict[Shape, int] = {}
        self._jobs: dict[int, int] = {}
        self._idle: dict[int, None] = {}

    def add(self, shape: Shape) -> None:
        """Add a shape that is not known yet; it is idle until its first job comes."""
        self._ids.setdefault(_without_id(shape), shape.id)
        self._jobs[shape.id] = 0
        self._idle[shape.id] = None

    def matching_id(self, shape: Shape) -> int | None:
        """Return the id of a shape that differs in nothing but its id; None without one."""
        return self._ids.get(_without_id(shape))

    def change_count(self, shape_id: int, jobs: int) -> None:
        """Record that so many jobs of a shape have come or, below 0, gone."""
        left = self._jobs[shape_id] = self._jobs[shape_id] + jobs
        if not left:
            self._idle[shape_id] = None
        elif left == jobs:
            self._idle.pop(shape_id, None)

    def remove(self, shape: Shape) -> None:
        """Remove a shape that has no jobs."""
        assert not self._jobs.pop(shape.id)
        del self._idle[shape.id]
        if self.matching_id(shape) == shape.id:
            del self._ids[_without_id(shape)]

    def surplus(self) -> list[int]:
        """Return the ids of the shapes to remove, the longest idle first."""
        return list(islice(self._idle, max(0, len(self._idle) - MOST_IDLE)))


def _without_id(shape: Shape) -> Shape:
    return replace(shape, id=ShapeId(0))
