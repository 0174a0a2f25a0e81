"""How much of a fleet is in use under the scheduler's rules and under simpler ones, for a moment and kept up.

All get the same fleets, jobs and arrivals. The simpler rules take the jobs oldest first, each on the node with the smallest score,
and pass over what does not fit.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from scheduler.identifiers import ExecutionId, NodeId, ShapeId
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.plan import CarriedReservation, Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution, Running
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement.placement import place
from tests.support.fleets import Scene, Table, bound, in_use, totals

Score = Callable[[Table, Table], Table]
Seats = list[tuple[int, int, int]]
"""Job, shape and node row of each start."""

HEURISTICS: dict[str, Score] = {
    "first fit": lambda free, _whole: np.zeros(len(free)),
    "best fit on cpus": lambda free, _whole: free[:, 0],
    "best fit on mem": lambda free, _whole: free[:, 1],
    "spread": lambda free, whole: ((whole - free) / np.maximum(whole, 1.0)).max(axis=1),
}

RUN_S, LIMIT_S, WARM_S, SEEN_S, LOAD = 60.0, 240.0, 150, 450, 1.25
"""Mean and longest run time; when watching begins, and for how long; what comes, as a multiple of what the bound lets run."""


class Rule(Protocol):
    """Who decides: told of arrivals and ends, asked what starts."""

    def arrive(self, job: int, shape: int, now: float) -> None: ...
    def end(self, job: int, shape: int, row: int, ran: float) -> None: ...
    def start(self, now: float) -> Seats: ...


class Ours:
    """The scheduler's own code, from its pictures."""

    def __init__(self, scene: Scene, policy: Policy) -> None:
        self._nodes = Nodes(Node(NodeId(number), _resources(row)) for number, row in enumerate(scene.nodes.tolist()))
        self._queue, self._running, self._predictor = Queue(), Running(), Predictor()
        self._policy, self._chance = policy, random.Random(1).random
        self._carried: tuple[CarriedReservation, ...] = ()
        self._shapes = [
            Shape(ShapeId(at), _resources(row), timeout_s=LIMIT_S) for at, row in enumerate(scene.shapes.tolist())
        ]
        for shape in self._shapes:
            self._queue.add_shape(shape)

    def arrive(self, job: int, shape: int, now: float) -> None:
        self._queue.add(job, shape, now)

    def end(self, job: int, shape: int, row: int, ran: float) -> None:
        need = self._shapes[shape].requires
        self._running.discard(job)
        self._nodes.release(row, need)
        self._predictor.learn(0, 0, LIMIT_S, ran, need)

    def start(self, now: float) -> Seats:
        snapshot = Snapshot(self._nodes, self._queue, self._running, self._policy, self._predictor, self._carried)
        plan, seats = place(snapshot, now, self._chance), Seats()
        self._carried = plan.carried
        for one in plan.placements:
            need = self._shapes[one.shape_id].requires
            self._queue.discard(one.job_id)
            self._nodes.allocate(one.node_id, need)
            self._running.add(ActiveExecution(ExecutionId(one.job_id), one.node_id, need, now, one.expected_s, LIMIT_S))
            seats.append((one.job_id, one.shape_id, one.node_id))
        return seats


class Simple:
    """Job by job in order of age, each on the node with the smallest score."""

    def __init__(self, scene: Scene, score: Score) -> None:
        self._scene, self._score, self._free = scene, score, scene.nodes.copy()
        self._lines: list[deque[int]] = [deque() for _ in scene.shapes]

    def arrive(self, job: int, shape: int, now: float) -> None:
        self._lines[shape].append(job)

    def end(self, job: int, shape: int, row: int, ran: float) -> None:
        self._free[row] += self._scene.shapes[shape]

    def start(self, now: float) -> Seats:
        seats: Seats = []
        foremost = [(line[0], shape) for shape, line in enumerate(self._lines) if line]
        heapq.heapify(foremost)
        while foremost:
            job, shape = heapq.heappop(foremost)
            need = self._scene.shapes[shape]
            fits = np.flatnonzero((self._free >= need).all(axis=1))
            if not len(fits):
                continue
            row = int(fits[np.argmin(self._score(self._free[fits], self._scene.nodes[fits]))])
            self._free[row] -= need
            self._lines[shape].popleft()
            seats.append((job, shape, row))
            if self._lines[shape]:
                heapq.heappush(foremost, (self._lines[shape][0], shape))
        return seats


def rules(scene: Scene) -> dict[str, Rule]:
    """Fresh ones: ours by its default policy, ours in mere order of age with no room kept, and the simpler ones."""
    by_age = Policy(reservations=0, weighing=False)
    simple = {name: Simple(scene, score) for name, score in HEURISTICS.items()}
    return {"ganger": Ours(scene, Policy()), "ganger by age": Ours(scene, by_age), **simple}


def at_once(scene: Scene, rule: Rule) -> Table:
    """What is in use of each resource once all the jobs have come to an empty fleet."""
    for job, shape in enumerate(scene.jobs):
        rule.arrive(job, shape, 1000.0 + job * 0.1)
    return np.asarray(scene.shapes[[shape for _, shape, _ in rule.start(5000.0)]].sum(axis=0))


@dataclass(slots=True)
class Kept:
    """What was in use over time of the resource that runs out first, as a fraction of the bound; the longest wait of who started."""

    of_bound: float = 0.0
    longest_wait_s: float = 0.0


@dataclass(slots=True)
class _World:
    """Arrivals and run times: the same for every rule, whatever it does."""

    scene: Scene
    chance: random.Random
    arrived: list[float] = field(default_factory=list)
    due: float = 0.0

    def arrivals(self, count: float, rule: Rule, now: float) -> None:
        self.due += count
        while self.due >= 1.0:
            self.due -= 1.0
            rule.arrive(len(self.arrived), self.chance.choice(self.scene.jobs), now)
            self.arrived.append(now)


def kept_up(scene: Scene, rule: Rule, seed: int = 1) -> Kept:
    """Jobs come a fourth faster than they could be done, and end after random times; one tick a second."""
    most, whole = bound(scene), totals(scene)
    each = in_use(scene, scene.shapes[scene.jobs].mean(axis=0))
    rate = LOAD * most / (each * RUN_S)
    world, ends = _World(scene, random.Random(seed)), list[tuple[float, int, int, int, float]]()
    world.arrivals(rate * RUN_S, rule, 0.0)
    used, area, kept = np.zeros(scene.shapes.shape[1]), np.zeros(scene.shapes.shape[1]), Kept()
    for second in range(1, WARM_S + SEEN_S + 1):
        now = float(second)
        while ends and ends[0][0] <= now:
            _, job, shape, row, ran = heapq.heappop(ends)
            rule.end(job, shape, row, ran)
            used -= scene.shapes[shape]
        world.arrivals(rate, rule, now)
        for job, shape, row in rule.start(now):
            ran = min(max(1.0, random.Random(job).expovariate(1 / RUN_S)), LIMIT_S)
            heapq.heappush(ends, (now + ran, job, shape, row, ran))
            used += scene.shapes[shape]
            kept.longest_wait_s = max(kept.longest_wait_s, now - world.arrived[job])
        area += used * (second > WARM_S)
    kept.of_bound = float((area / SEEN_S / whole).max()) / most
    return kept


def _resources(row: list[float]) -> Resources:
    cpus, mem, disk, gpus = row
    return Resources.of(cpus=cpus, mem=mem, disk=disk, custom={"gpu": gpus} if gpus else None)
