"""Random mixed fleets with more waiting than fits, and by linear programming how much of them could be in use.

Fifteen families of fleets and jobs; every job would fit on some empty node.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, csr_matrix

Table = NDArray[np.float64]
Indices = NDArray[np.int_]
Row = tuple[float, float, float, float]
"""Cpus, GiB of mem, GiB of disk, gpus."""

NODES, SHAPES = 40, 20


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
    return float((used / totals(scene)).max())


def totals(scene: Scene) -> Table:
    """What the fleet has of each resource; 1 where it has none."""
    return np.asarray(np.maximum(scene.nodes.sum(axis=0), 1.0))


def bound(scene: Scene) -> float:
    """The most that could be in use *in the proportions in which it waits*, jobs cut at will.

    A scheduler that may not pick its favourites cannot hold more of the scarcest resource for long. (It may for a moment, where those
    that wait longest happen to suit the fleet.) A part of a job may only go where the whole job would fit.
    """
    waiting = np.bincount(scene.jobs, minlength=len(scene.shapes)).astype(float)
    limits, kind, seat, most = _seats(scene)
    more = len(seat)
    limits = coo_matrix((limits.data, (limits.row, limits.col)), shape=(limits.shape[0], more + 1))
    shapes = len(waiting)
    rows, columns = np.append(kind, np.arange(shapes)), np.append(seat, np.full(shapes, more))
    evenly = coo_matrix((np.append(np.ones(more), -waiting), (rows, columns)))
    found = linprog(
        np.append(np.zeros(more), -1.0), limits, scene.nodes.ravel(), evenly, np.zeros(shapes), [*most, (0.0, None)],
        method="highs",
    )  # fmt: skip
    return in_use(scene, found.x[-1] * (waiting[:, None] * scene.shapes).sum(axis=0))


def free_bound(scene: Scene) -> float:
    """The most that could be in use, as the mean over cpus and mem, of whatever jobs fill the fleet best, cut at will.

    For a scheduler that need keep no order.
    """
    waiting = np.bincount(scene.jobs, minlength=len(scene.shapes)).astype(float)
    limits, kind, seat, most = _seats(scene)
    there = csr_matrix((np.ones(len(seat)), (kind, seat)))
    worth = (scene.shapes / totals(scene))[:, :2].mean(axis=1)
    capacity = np.append(scene.nodes.ravel(), waiting)
    found = linprog(-worth[kind], coo_matrix(np.vstack([limits.toarray(), there.toarray()])), capacity, bounds=most)
    return float(-found.fun)


def _seats(scene: Scene) -> tuple[coo_matrix, Indices, Indices, list[tuple[float, float | None]]]:
    """What every pair of node and shape takes, the shape and number of each pair, and how much of it there may be."""
    nodes, shapes = len(scene.nodes), len(scene.shapes)
    node, axis, shape = (index.ravel() for index in np.indices((nodes, 4, shapes)))
    limits = coo_matrix(
        (scene.shapes[shape, axis], (node * 4 + axis, node * shapes + shape)), shape=(nodes * 4, nodes * shapes)
    )
    fits = (scene.nodes[:, None, :] >= scene.shapes[None]).all(axis=2).ravel()
    return (
        limits,
        np.tile(np.arange(shapes), nodes),
        np.arange(nodes * shapes),
        [(0.0, None if one else 0.0) for one in fits],
    )
