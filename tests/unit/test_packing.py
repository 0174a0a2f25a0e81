"""How well random mixed fleets are packed when more waits than fits, beside linear programming and the usual heuristics.

The bound is the most of what waits that the fleet could hold at once *in the proportions in which it waits*, jobs cut at will: a
scheduler that may not pick its favourites cannot hold more of the scarcest resource for long.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from scheduler.rules.nodes import Node, Nodes
from scheduler.rules.placement import place
from scheduler.rules.plan import Snapshot
from scheduler.rules.policy import Policy
from scheduler.rules.resources import Resources
from scheduler.rules.shapes import Shape
from scheduler.rules.waiting import Queue

Table = NDArray[np.float64]
Score = Callable[[Table, Table], Table]

HEURISTICS: dict[str, Score] = {
    "first fit": lambda free, _whole: np.zeros(len(free)),
    "best fit on cpus": lambda free, _whole: free[:, 0],
    "best fit on mem": lambda free, _whole: free[:, 1],
    "spread": lambda free, whole: ((whole - free) / whole).max(axis=1),
}

MIXES: dict[str, Callable[[random.Random], tuple[float, float]]] = {
    "some as large as a node": lambda chance: _by_cpu(chance, [0.5, 1, 2, 4, 8, 16, 32, 64], [0.5, 1, 2, 3]),
    "unlike each other": lambda chance: (chance.choice([0.5, 1, 2, 4, 8]), chance.choice([1, 2, 4, 8, 16, 32])),
    "in proportion": lambda chance: _by_cpu(chance, [1, 2, 4, 8], [2, 4, 6]),
    "hungry for memory": lambda chance: (chance.choice([0.5, 1, 2]), chance.choice([2, 4, 8, 16, 32])),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Nodes and shapes as rows of cpus, GiB of mem and of disk; the waiting jobs by shape, oldest first."""

    nodes: Table
    shapes: Table
    jobs: list[int]


def _by_cpu(chance: random.Random, cpus: list[float], each: list[float]) -> tuple[float, float]:
    some = chance.choice(cpus)
    return some, some * chance.choice(each)


def a_scene(seed: int, mix: str, nodes: int = 40, shapes: int = 20) -> Scene:
    """Three times as much waits as fits."""
    chance = random.Random(seed)
    cpus = [chance.choice([8, 16, 32, 64]) for _ in range(nodes)]
    fleet = np.array([(each, each * chance.choice([2, 4, 8]), chance.choice([100, 200, 400])) for each in cpus])
    needs = np.array([(*MIXES[mix](chance), chance.choice([0, 0, 1, 5, 20])) for _ in range(shapes)])
    jobs: list[int] = []
    while not jobs or (needs[jobs].sum(axis=0) / fleet.sum(axis=0)).max() < 3:
        jobs += [chance.randrange(shapes) for _ in range(50)]
    return Scene(fleet.astype(float), needs, jobs)


def in_use(scene: Scene, used: Table) -> float:
    """The share in use of the resource that runs out first."""
    return float((used / scene.nodes.sum(axis=0)).max())


def ours(scene: Scene, policy: Policy) -> float:
    nodes = Nodes(
        Node(number, Resources.of(cpus=c, mem=m, disk=d)) for number, (c, m, d) in enumerate(scene.nodes.tolist(), 1)
    )
    queue = Queue()
    for number, (c, m, d) in enumerate(scene.shapes.tolist()):
        queue.learn(Shape(number, Resources.of(cpus=c, mem=m, disk=d)))
    for job_id, shape_id in enumerate(scene.jobs):
        queue.add(job_id, shape_id, 1000.0 + job_id * 0.1)
    plan = place(Snapshot(nodes, queue, policy=policy), 5000.0, random.Random(1).random)
    return in_use(scene, scene.shapes[[placement.shape_id for placement in plan.placements]].sum(axis=0))


def heuristic(scene: Scene, score: Score) -> float:
    """Job by job in order of age, each on the node with the smallest score."""
    free, used, left_out = scene.nodes.copy(), np.zeros(3), set[int]()
    for shape in scene.jobs:
        need = scene.shapes[shape]
        fits = np.flatnonzero((free >= need).all(axis=1)) if shape not in left_out else np.zeros(0, dtype=int)
        if len(fits):
            free[fits[np.argmin(score(free[fits], scene.nodes[fits]))]] -= need
            used += need
        else:
            left_out.add(shape)
    return in_use(scene, used)


def bound(scene: Scene) -> float:
    """What the fleet holds when the whole queue, scaled down, is spread over it in fractions of jobs."""
    nodes, shapes = len(scene.nodes), len(scene.shapes)
    waiting = np.bincount(scene.jobs, minlength=shapes)
    rows, cols, amounts = [], [], []
    for node, axis, shape in np.ndindex(nodes, 3, shapes):
        rows.append(node * 3 + axis)
        cols.append(node * shapes + shape)
        amounts.append(scene.shapes[shape, axis])
    limits = coo_matrix((amounts, (rows, cols)), shape=(nodes * 3, nodes * shapes + 1))
    evenly = np.zeros((shapes, nodes * shapes + 1))
    for shape in range(shapes):
        evenly[shape, shape : nodes * shapes : shapes] = 1.0
        evenly[shape, -1] = -float(waiting[shape])
    goal = np.zeros(nodes * shapes + 1)
    goal[-1] = -1.0
    found = linprog(goal, limits, scene.nodes.ravel(), evenly, np.zeros(shapes), method="highs")
    return in_use(scene, found.x[-1] * (waiting[:, None] * scene.shapes).sum(axis=0))


@pytest.mark.parametrize("mix", MIXES)
def test_a_saturated_fleet_holds_nearly_all_it_could_and_no_less_than_by_simpler_rules(mix: str) -> None:
    scenes = [a_scene(seed, mix) for seed in range(6)]
    assert mean(ours(scene, Policy()) for scene in scenes) >= 0.97 * mean(bound(scene) for scene in scenes)
    same_order = Policy(reservations=0, weighing=False)
    held = mean(ours(scene, same_order) for scene in scenes)
    for score in HEURISTICS.values():
        assert held >= 0.995 * mean(heuristic(scene, score) for scene in scenes)
