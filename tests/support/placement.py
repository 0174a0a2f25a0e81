"""Builders of placement's pictures, with ids counted up and amounts in whole units."""

import random
from collections.abc import Iterable
from itertools import count
from typing import Any

from scheduler.identifiers import ExecutionId, JobId, NodeId, ShapeId
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.plan import CarriedReservation, Plan, Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution, Running
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement.placement import place

NOW = 1_000_000.0


def a_node(number: int, *, cpus: float = 4, mem: int = 8000, disk: int = 0, **more: Any) -> Node:
    custom = more.pop("custom", None)
    room = Resources.of(cpus=cpus, mem=mem, disk=disk, custom=custom)
    return Node(NodeId(number), room, name=f"n{number}", **more)


class World:
    """A snapshot that grows by short calls: shapes, jobs and runs get their ids in order, from 1."""

    def __init__(self, nodes: Iterable[Node] = (), policy: Policy | None = None) -> None:
        self.nodes, self.queue, self.running = Nodes(nodes), Queue(), Running()
        self.policy, self.predictor = policy or Policy(), Predictor()
        self.carried: tuple[CarriedReservation, ...] = ()
        self.shapes: dict[ShapeId, Shape] = {}
        self._shape_ids, self._job_ids, self._run_ids = count(1), count(1), count(1)

    def shape(self, *, cpus: float = 1, mem: int = 0, disk: int = 0, **more: Any) -> Shape:
        custom = more.pop("custom", None)
        need = Resources.of(cpus=cpus, mem=mem, disk=disk, custom=custom)
        shape = Shape(ShapeId(next(self._shape_ids)), need, **more)
        self.shapes[shape.id] = shape
        self.queue.add_shape(shape)
        return shape

    def job(self, shape: Shape, *, waited: float = 10.0, **more: Any) -> JobId:
        job_id = JobId(next(self._job_ids))
        self.queue.add(job_id, shape.id, NOW - waited, **more)
        return job_id

    def run(self, node_id: int, *, cpus: float = 1, mem: int = 0, **more: Any) -> ActiveExecution:
        need = Resources.of(cpus=cpus, mem=mem)
        more.setdefault("started", NOW - 100.0)
        run = ActiveExecution(ExecutionId(next(self._run_ids)), NodeId(node_id), need, **more)
        self.running.add(run)
        self.nodes.allocate(node_id, need)
        return run

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.nodes, self.queue, self.running, self.policy, self.predictor, self.carried)

    def plan(self, *, now: float = NOW, seed: int = 1, limit: int | None = None) -> Plan:
        return place(self.snapshot, now, random.Random(seed).random, limit)


def where(plan: Plan) -> dict[JobId, NodeId]:
    """Node by job, gangs left with their last member."""
    return {placement.job_id: placement.node_id for placement in plan.placements}
