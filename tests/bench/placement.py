"""Speed of placement: prints one JSON line per measurement. Run as `python -m tests.bench.placement`.

The scene: 10,000 mixed nodes, 200 shapes, of which 100 stand in front and can never start; jobs of the others follow. Rates are
compared between a short and a long queue in the same run.
"""

import json
import random
import sys
import time
import tracemalloc
from dataclasses import dataclass, replace

import numpy as np

from scheduler.identifiers import ExecutionId, JobTypeId, NodeId, ProjectId, ShapeId
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.plan import Plan, Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution, Running
from scheduler.rules.cluster.shapes import Constraint, Shape
from scheduler.rules.explain.explain import explain
from scheduler.rules.placement.placement import place

NOW = 1_000_000.0
NODES = 10_000
SHAPES = 200
LONG, SHORT = 1_000_000, 1_000
EVERY_S = 0.08
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Scene:
    """A fleet and how it is filled."""

    nodes: Nodes
    running: Running


def a_fleet(seed: int = 1, used: float = 0.3, *, preemptible: bool = False) -> Scene:
    """Mixed nodes, on which executions hold about `used` of the room; every other one may be stopped where that is asked."""
    chance = random.Random(seed)
    nodes, running = Nodes(), Running()
    for number in range(1, NODES + 1):
        cpus = chance.choice([8, 16, 32, 64])
        mem = cpus * chance.choice([2000, 4000, 8000])
        nodes.upsert(Node(NodeId(number), Resources.of(cpus=cpus, mem=mem, disk=100_000), pool="main"))
        held = Resources.of(cpus=cpus * used, mem=mem * used)
        nodes.allocate(number, held)
        stoppable = preemptible and number % 2 == 0
        running.add(
            ActiveExecution(
                ExecutionId(number), NodeId(number), held, NOW - 60, 3600.0, 7200.0, priority=200, preemptible=stoppable
            )
        )
    return Scene(nodes, running)


def shapes(chance: random.Random, projects: int = 1) -> list[Shape]:
    """Half of them ask for what no node has, each in one of three ways; the others are ordinary. Projects have them in turn."""
    found = []
    for number in range(SHAPES):
        need = Resources.of(cpus=chance.choice([1, 2, 4]), mem=chance.choice([500, 2000, 4000, 8000]))
        if number >= SHAPES // 2:
            found.append(Shape(ShapeId(number), need, timeout_s=3600.0, job_type_id=JobTypeId(number)))
        elif number % 3 == 0:
            found.append(Shape(ShapeId(number), Resources.of(cpus=500 + number), job_type_id=JobTypeId(number)))
        elif number % 3 == 1:
            found.append(Shape(ShapeId(number), need, constraints=(Constraint("gpu"),), job_type_id=JobTypeId(number)))
        else:
            found.append(Shape(ShapeId(number), Resources.of(cpus=60 + number % 5), job_type_id=JobTypeId(number)))
    return [replace(shape, project_id=ProjectId(shape.id % projects)) for shape in found]


def a_queue(jobs: int, projects: int = 1) -> Queue:
    """Half of the jobs are of shapes that cannot start, and older than all others; as many come in a second however many there are."""
    chance = random.Random(2)
    queue = Queue()
    for shape in shapes(chance, projects):
        queue.add_shape(shape)
    ids = np.arange(jobs, dtype=np.int64)
    half = SHAPES // 2
    kinds = np.where(ids < jobs // 2, ids % half, half + ids % half)
    queued = NOW - 90_000 + ids * EVERY_S
    queue.load(ids, kinds, queued)
    return queue


def timed_plan(snapshot: Snapshot, limit: int | None) -> tuple[float, Plan]:
    """The best of some rounds, and the plan."""
    best, plan = float("inf"), Plan()
    for _ in range(ROUNDS):
        started = time.perf_counter()
        plan = place(snapshot, NOW, random.Random(3).random, limit)
        best = min(best, time.perf_counter() - started)
    return best, plan


def commit(snapshot: Snapshot, plan: Plan, first: int) -> None:
    """Take a plan over into the pictures, as the tick does."""
    for number, placement in enumerate(plan.placements):
        shape = snapshot.queue.groups[placement.shape_id].shape
        snapshot.queue.discard(placement.job_id)
        snapshot.nodes.allocate(placement.node_id, shape.requires)
        run = ActiveExecution(
            ExecutionId(first + number), placement.node_id, shape.requires, NOW, placement.expected_s, shape.timeout_s
        )
        snapshot.running.add(run)


def say(**figures: object) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps(figures) + "\n")


def flat_cost() -> None:
    """The same 1,000 / 500 placements from a short and a long queue."""
    rates = {}
    for jobs in (SHORT, LONG):
        scene = a_fleet()
        snapshot = Snapshot(scene.nodes, a_queue(jobs), scene.running)
        seconds, plan = timed_plan(snapshot, SHORT // 2)
        rates[jobs] = len(plan.placements) / seconds
        say(bench="placement.rate", queued=jobs, placements=len(plan.placements), per_second=round(rates[jobs]))
    ratio = rates[LONG] / rates[SHORT]
    say(bench="placement.flat", ratio=round(ratio, 3), bar=">= 0.8", held=ratio >= 0.8)


def pure_rate() -> None:
    """As many as fit on the empty fleet."""
    scene = a_fleet(used=0.0)
    seconds, plan = timed_plan(Snapshot(scene.nodes, a_queue(LONG), scene.running), None)
    rate = len(plan.placements) / seconds
    say(
        bench="placement.pure",
        placements=len(plan.placements),
        per_second=round(rate),
        bar=">= 100000",
        held=rate >= 100_000,
    )


def steady_tick(name: str, *, projects: int = 1, preemption: bool = False, count: int = 15) -> None:
    """Ticks on a full fleet: what ended since the last one is placed anew, everything else is found not to fit.

    With preemption on, half of what the fleet held from the start may be stopped, and every tick a hundred urgent jobs come.
    """
    scene = a_fleet(preemptible=preemption)
    queue, policy = a_queue(LONG, projects), Policy(preemption=preemption)
    snapshot = Snapshot(scene.nodes, queue, scene.running, policy)
    commit(snapshot, place(snapshot, NOW, random.Random(3).random), 10**6)
    ticks, cpu, chance, stopped = list[float](), list[float](), random.Random(4), 0
    for tick in range(1, count + 1):
        for run in chance.sample(list(snapshot.running), 500):
            leave(snapshot, run)
        if preemption:
            urgent(snapshot, NOW + tick, LONG + tick * 100)
        started, used = time.perf_counter(), time.process_time()
        plan = place(snapshot, NOW + tick, chance.random)
        ticks.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
        commit(snapshot, plan, (tick + 1) * 10**6)
        victims = [one for preempted in plan.preemptions for one in preempted.execution_ids]
        stopped += len(victims)
        for execution_id in victims:
            leave(snapshot, snapshot.running[execution_id])
    worst = max(ticks) * 1000
    say(
        bench=name,
        projects=projects,
        running=len(snapshot.running),
        stopped=stopped,
        median_ms=round(sorted(ticks)[len(ticks) // 2] * 1000, 1),
        worst_ms=round(worst, 1),
        worst_cpu_ms=round(max(cpu) * 1000, 1),
        bar="< 100",
        held=worst < 100,
    )


def leave(snapshot: Snapshot, run: ActiveExecution) -> None:
    """Let an execution end."""
    snapshot.running.discard(run.execution_id)
    snapshot.nodes.release(run.node_id, run.resources)


def urgent(snapshot: Snapshot, now: float, first: int) -> None:
    """A hundred jobs of a more urgent priority, too large to find room by themselves."""
    shape = Shape(ShapeId(SHAPES), Resources.of(cpus=8), priority=10, timeout_s=600.0, job_type_id=JobTypeId(SHAPES))
    snapshot.queue.add_shape(shape)
    for job_id in range(first, first + 100):
        snapshot.queue.add(job_id, shape.id, now)


def first_picture() -> None:
    """Time and memory of a million queued jobs."""
    started = time.perf_counter()
    a_queue(LONG)
    seconds = time.perf_counter() - started
    tracemalloc.start()
    queue = a_queue(LONG)
    each = tracemalloc.get_traced_memory()[0] / len(queue)
    tracemalloc.stop()
    say(bench="placement.picture", seconds=round(seconds, 2), bar="< 10", held=seconds < 10)
    say(bench="placement.memory", bytes_per_job=round(each), bar="< 1024", held=each < 1024)


def explained() -> None:
    """Explaining waiting jobs of a saturated cluster: 100,000 queued, 500 nodes."""
    chance = random.Random(6)
    nodes, running = Nodes(), Running()
    for number in range(1, 501):
        cpus = chance.choice([8, 16, 32, 64])
        nodes.upsert(Node(NodeId(number), Resources.of(cpus=cpus, mem=cpus * 4000, disk=100_000), pool="main"))
    snapshot = Snapshot(nodes, a_queue(100_000), running)
    commit(snapshot, place(snapshot, NOW, chance.random), 1)
    waiting = [job for job in range(100_000) if job in snapshot.queue]
    times = []
    for job_id in chance.sample(waiting, 200):
        started = time.perf_counter()
        explain(snapshot, job_id, NOW + 1)
        times.append(time.perf_counter() - started)
    p95 = sorted(times)[190] * 1000
    say(bench="placement.explain", queued=len(waiting), p95_ms=round(p95, 1), bar="< 50", held=p95 < 50)


def main() -> None:
    """All measurements, one after the other."""
    flat_cost()
    pure_rate()
    steady_tick("placement.tick")
    steady_tick("placement.tick-projects", projects=3)
    steady_tick("placement.tick-preemption", projects=3, preemption=True, count=5)
    first_picture()
    explained()


if __name__ == "__main__":
    main()
