"""How well random mixed fleets are packed when more waits than fits, beside linear programming and the usual heuristics.

The bound is the most of what waits that the fleet could hold at once *in the proportions in which it waits*, jobs cut at will: a
scheduler that may not pick its favourites cannot hold more of the scarcest resource for long. (It may for a moment, where the jobs
that wait longest happen to suit the fleet.) All rules get the same fleets and the same jobs, oldest first.
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
Row = tuple[float, float, float, float]
"""Cpus, GiB of mem, GiB of disk, gpus."""

NODES, SHAPES, SCENES = 40, 20, 8

NOISE = 0.005
"""What means over so few fleets vary by from one set of seeds to the next. Over thirty fleets each the largest loss of any family to the
best of the others was 0.003."""

HEURISTICS: dict[str, Score] = {
    "first fit": lambda free, _whole: np.zeros(len(free)),
    "best fit on cpus": lambda free, _whole: free[:, 0],
    "best fit on mem": lambda free, _whole: free[:, 1],
    "spread": lambda free, whole: ((whole - free) / np.maximum(whole, 1.0)).max(axis=1),
}


def _any_kinds(chance: random.Random) -> list[Row]:
    cpus = [chance.choice([8, 16, 32, 64]) for _ in range(NODES)]
    return [(each, each * chance.choice([2, 4, 8]), chance.choice([100, 200, 400]), 0) for each in cpus]


def _three_kinds(chance: random.Random) -> list[Row]:
    cpus = [chance.choice([8, 16, 32, 48, 64, 96, 128]) for _ in range(3)]
    kinds = [(each, each * chance.choice([1, 2, 4, 8, 16]), chance.choice([100, 500, 2000]), 0) for each in cpus]
    return [chance.choice(kinds) for _ in range(NODES)]


def _one_kind(chance: random.Random) -> list[Row]:
    cpus = chance.choice([16, 32, 64])
    return [(cpus, cpus * chance.choice([2, 4, 8]), 500, 0)] * NODES


def _some_with_gpus(chance: random.Random) -> list[Row]:
    return [(*node[:3], chance.choice([2, 4, 8]) if chance.random() < 0.3 else 0) for node in _any_kinds(chance)]


def _small(chance: random.Random, _fleet: list[Row]) -> Row:
    return chance.choice([0.1, 0.25, 0.5, 1]), chance.choice([0.1, 0.25, 0.5, 1, 2, 4]), chance.choice([0, 0, 1]), 0


def _of_all_sizes(chance: random.Random, _fleet: list[Row]) -> Row:
    cpus = chance.choice([0.5, 1, 2, 4, 8, 16, 32, 64])
    return cpus, cpus * chance.choice([0.5, 1, 2, 3]), _disk(chance), 0


def _unlike(chance: random.Random, _fleet: list[Row]) -> Row:
    return chance.choice([0.5, 1, 2, 4, 8]), chance.choice([1, 2, 4, 8, 16, 32]), _disk(chance), 0


def _in_proportion(chance: random.Random, _fleet: list[Row]) -> Row:
    cpus = chance.choice([1, 2, 4, 8])
    return cpus, cpus * chance.choice([2, 4, 6]), _disk(chance), 0


def _hungry_for_memory(chance: random.Random, _fleet: list[Row]) -> Row:
    return chance.choice([0.5, 1, 2]), chance.choice([2, 4, 8, 16, 32]), _disk(chance), 0


def _hungry_for_one(chance: random.Random, _fleet: list[Row]) -> Row:
    if chance.random() < 0.5:
        return chance.choice([2, 4, 8]), chance.choice([0.5, 1, 2]), _disk(chance), 0
    return chance.choice([0.25, 0.5, 1]), chance.choice([8, 16, 32]), _disk(chance), 0


def _part_of_a_node(chance: random.Random, fleet: list[Row]) -> Row:
    node, part = chance.choice(fleet), chance.choice([1, 0.5, 0.25])
    return node[0] * part, node[1] * part, _disk(chance), 0


def _some_node_sized(chance: random.Random, fleet: list[Row]) -> Row:
    return chance.choice([_part_of_a_node, _part_of_a_node, _small, _in_proportion])(chance, fleet)


def _some_for_gpus(chance: random.Random, fleet: list[Row]) -> Row:
    if chance.random() < 0.6:
        return _in_proportion(chance, fleet)
    gpus = chance.choice([1, 1, 2, 4])
    return gpus * chance.choice([1, 2, 4]), gpus * chance.choice([4, 8, 16]), _disk(chance), gpus


def _disk(chance: random.Random) -> float:
    return chance.choice([0, 0, 1, 5, 20])


Fleet = Callable[[random.Random], list[Row]]
Job = Callable[[random.Random, list[Row]], Row]

FAMILIES: dict[str, tuple[Fleet, Job]] = {
    "small": (_any_kinds, _small),
    "of all sizes": (_any_kinds, _of_all_sizes),
    "unlike each other": (_any_kinds, _unlike),
    "in proportion": (_any_kinds, _in_proportion),
    "hungry for memory": (_any_kinds, _hungry_for_memory),
    "hungry for cpus or for memory": (_any_kinds, _hungry_for_one),
    "some node-sized": (_any_kinds, _some_node_sized),
    "all parts of a node": (_any_kinds, _part_of_a_node),
    "three kinds of nodes, some node-sized": (_three_kinds, _some_node_sized),
    "three kinds of nodes, in proportion": (_three_kinds, _in_proportion),
    "three kinds of nodes, unlike each other": (_three_kinds, _unlike),
    "one kind of nodes, in proportion": (_one_kind, _in_proportion),
    "one kind of nodes, some node-sized": (_one_kind, _some_node_sized),
    "one kind of nodes, hungry for cpus or for memory": (_one_kind, _hungry_for_one),
    "some for gpus, the others anywhere": (_some_with_gpus, _some_for_gpus),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Nodes and shapes as rows of cpus, GiB of mem and of disk, gpus; the waiting jobs by shape, oldest first."""

    nodes: Table
    shapes: Table
    jobs: list[int]


def a_scene(seed: int, family: str) -> Scene:
    """Three times as much waits as fits; every job would fit on some empty node."""
    chance, (fleet_of, job_of) = random.Random(seed), FAMILIES[family]
    fleet = fleet_of(chance)
    needs: list[Row] = []
    while len(needs) < SHAPES:
        need = job_of(chance, fleet)
        if any(all(a <= b for a, b in zip(need, node, strict=True)) for node in fleet):
            needs.append(need)
    nodes, shapes, jobs = np.array(fleet, dtype=float), np.array(needs, dtype=float), list[int]()
    while not jobs or (shapes[jobs].sum(axis=0) / np.maximum(nodes.sum(axis=0), 1.0)).max() < 3:
        jobs += [chance.randrange(SHAPES) for _ in range(50)]
    return Scene(nodes, shapes, jobs)


def in_use(scene: Scene, used: Table) -> float:
    """The share in use of the resource that runs out first."""
    return float((used / np.maximum(scene.nodes.sum(axis=0), 1.0)).max())


def ours(scene: Scene, policy: Policy) -> float:
    """Job by job as the scheduler would, all in one plan for an empty fleet."""
    nodes = Nodes(Node(number, _resources(row)) for number, row in enumerate(scene.nodes.tolist(), 1))
    queue = Queue()
    for number, row in enumerate(scene.shapes.tolist()):
        queue.learn(Shape(number, _resources(row)))
    for job_id, shape_id in enumerate(scene.jobs):
        queue.add(job_id, shape_id, 1000.0 + job_id * 0.1)
    plan = place(Snapshot(nodes, queue, policy=policy), 5000.0, random.Random(1).random)
    return in_use(scene, scene.shapes[[placement.shape_id for placement in plan.placements]].sum(axis=0))


def heuristic(scene: Scene, score: Score) -> float:
    """Job by job in order of age, each on the node with the smallest score."""
    free, used, left_out = scene.nodes.copy(), np.zeros(4), set[int]()
    for shape in scene.jobs:
        if shape in left_out:
            continue
        need = scene.shapes[shape]
        fits = np.flatnonzero((free >= need).all(axis=1))
        if len(fits):
            free[fits[np.argmin(score(free[fits], scene.nodes[fits]))]] -= need
            used += need
        else:
            left_out.add(shape)
    return in_use(scene, used)


def bound(scene: Scene) -> float:
    """What the fleet holds when the whole queue, scaled down, is spread over it in fractions of jobs.

    A fraction of a job may only go where the whole job would fit.
    """
    nodes, shapes = len(scene.nodes), len(scene.shapes)
    waiting = np.bincount(scene.jobs, minlength=shapes).astype(float)
    node, axis, shape = (index.ravel() for index in np.indices((nodes, 4, shapes)))
    limits = coo_matrix(
        (scene.shapes[shape, axis], (node * 4 + axis, node * shapes + shape)), shape=(nodes * 4, nodes * shapes + 1)
    )
    kind, seat = np.tile(np.arange(shapes), nodes), np.arange(nodes * shapes)
    rows, columns = np.append(kind, np.arange(shapes)), np.append(seat, np.full(shapes, nodes * shapes))
    evenly = coo_matrix((np.append(np.ones(nodes * shapes), -waiting), (rows, columns)))
    fits = (scene.nodes[:, None, :] >= scene.shapes[None]).all(axis=2).ravel()
    most = [(0.0, None if one else 0.0) for one in fits]
    goal = np.append(np.zeros(nodes * shapes), -1.0)
    found = linprog(goal, limits, scene.nodes.ravel(), evenly, np.zeros(shapes), [*most, (0.0, None)], method="highs")
    return in_use(scene, found.x[-1] * (waiting[:, None] * scene.shapes).sum(axis=0))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saturated_fleet_holds_nearly_all_it_could_and_no_less_than_by_simpler_rules(family: str) -> None:
    scenes = [a_scene(seed, family) for seed in range(SCENES)]
    held = mean(ours(scene, Policy()) for scene in scenes)
    assert held >= 0.97 * mean(bound(scene) for scene in scenes)
    by_age = mean(ours(scene, Policy(reservations=0, weighing=False)) for scene in scenes)
    for name, score in HEURISTICS.items():
        theirs = mean(heuristic(scene, score) for scene in scenes)
        assert held >= (1 - NOISE) * theirs, name
        assert by_age >= (1 - NOISE) * theirs, f"{name}, with the same order"


def _resources(row: list[float]) -> Resources:
    cpus, mem, disk, gpus = row
    return Resources.of(cpus=cpus, mem=mem, disk=disk, custom={"gpu": gpus} if gpus else None)
