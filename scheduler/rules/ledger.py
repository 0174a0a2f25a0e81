"""The scratch book of one plan: what is free and held once the placements decided so far are counted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.rules import fairshare, filters
from scheduler.rules.filters import Allowance
from scheduler.rules.nodes import Amounts, Rows
from scheduler.rules.plan import Snapshot
from scheduler.rules.resources import NOTHING, Resources
from scheduler.rules.shapes import Shape


@dataclass(slots=True)
class Tally:
    """What a project holds, running and planned."""

    resources: Resources
    executions: int
    share: float


class Ledger:
    """Copies of the few numbers a plan changes; the snapshot stays as it is."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._policy = snapshot.policy
        self._running = snapshot.running
        self.nodes = snapshot.nodes
        self.free = snapshot.nodes.free()
        self.fleet = snapshot.nodes.total(snapshot.nodes.ready())
        self._tallies: dict[int, Tally] = {}
        self._types: dict[int, int] = {}

    @property
    def scale(self) -> NDArray[np.float64]:
        """One over the largest capacity of each resource, 0 where no node has any."""
        largest = self.nodes.capacity.max(axis=1, initial=0)
        return np.where(largest > 0, 1.0 / np.maximum(largest, 1), 0.0)

    def take(self, shape: Shape, rows: Rows, counts: Amounts, jobs: int) -> None:
        """Count `jobs` more jobs of a shape, whose members stand `counts` times on the node rows."""
        need = self.nodes.vector(shape.requires)
        self.free[:, rows] -= need[:, None] * counts
        tally = self.tally(shape.project_id)
        tally.resources = tally.resources.add(shape.requires.times(jobs * shape.count))
        tally.executions += jobs * shape.count
        tally.share = fairshare.share_of(tally.resources, self.fleet)
        self._types[shape.job_type_id] = self.of_type(shape.job_type_id) + jobs * shape.count

    def tally(self, project_id: int) -> Tally:
        """What a project holds by now."""
        tally = self._tallies.get(project_id)
        if tally is None:
            held = self._running.of_project(project_id)
            share = fairshare.share_of(held.resources, self.fleet)
            tally = self._tallies[project_id] = Tally(held.resources or NOTHING, held.executions, share)
        return tally

    def of_type(self, job_type_id: int) -> int:
        """How many executions of a type there are by now."""
        planned = self._types.get(job_type_id)
        return self._running.of_type(job_type_id) if planned is None else planned

    def standing(self, project_id: int) -> float:
        """The number by which projects are compared, smaller first."""
        policy = self._policy
        usage = policy.usage.get(project_id, 0.0)
        return fairshare.standing(self.tally(project_id).share, usage, policy.weights.get(project_id, 1.0))

    def allowance(self, shape: Shape) -> Allowance:
        """How many more jobs of the shape the limits let start."""
        tally = self.tally(shape.project_id)
        return filters.allowance(
            shape,
            self._policy,
            of_type=self.of_type(shape.job_type_id),
            cpus=tally.resources.cpus,
            mem=tally.resources.mem,
            jobs=tally.executions,
        )
