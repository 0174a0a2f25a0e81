"""The replay: time jumps from one arrival or end to the next, and at each of them the real `place` makes a plan."""

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from scheduler.identifiers import ExecutionId, JobId, JobTypeId, ProjectId, ShapeId
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster import fairshare
from scheduler.rules.cluster.fairshare import Lag
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.plan import CarriedReservation, Placement, Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.resources import NOTHING, Resources
from scheduler.rules.cluster.running import ActiveExecution, Running
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement.contention import contests
from scheduler.rules.placement.placement import place

Progress = Callable[[int, int], None]
"""Called with the number of jobs that have ended, and the number of all jobs."""

_TELL_EVERY = 100
"""Ends between two calls of the progress function."""


@dataclass(slots=True)
class ReplayResult:
    """The result of a replay. `started` has the start time by job id; jobs that never started are not in it.

    `fleet` is what all
    nodes have together. `promised` has the first promised start by job id, for each job that had a reservation. `moments` are (time, jobs
    waiting, share of the fleet in use), one for each event, in order of time.
    """

    jobs: Sequence[TraceJob]
    fleet: Resources = NOTHING
    started: dict[int, float] = field(default_factory=dict)
    promised: dict[int, float] = field(default_factory=dict)
    moments: list[tuple[float, int, float]] = field(default_factory=list)
    prediction_error: float = 0.0


def replay(
    jobs: Sequence[TraceJob],
    nodes: Iterable[Node],
    policy: Policy,
    *,
    seed: int = 1,
    progress: Progress | None = None,
) -> ReplayResult:
    """Run a trace (sorted by submission time) on a fleet under a policy, until no job is left that can start."""
    world = ReplayCluster(jobs, nodes, policy, seed)
    told = 0
    while world.step():
        if progress is not None and world.ended >= told + _TELL_EVERY:
            told = world.ended
            progress(told, len(jobs))
    if progress is not None:
        progress(len(jobs), len(jobs))
    world.outcome.prediction_error = world.predictor.error
    return world.outcome


class ReplayCluster:
    """The state that a live scheduler keeps, and the future of the trace, which a scheduler does not know."""

    def __init__(self, jobs: Sequence[TraceJob], nodes: Iterable[Node], policy: Policy, seed: int) -> None:
        self.outcome = ReplayResult(jobs)
        self.predictor = Predictor()
        self.ended = 0
        self._nodes, self._queue, self._running = Nodes(nodes), Queue(), Running()
        self._fleet = self.outcome.fleet = self._nodes.total(self._nodes.present())
        self._policy, self._chance = policy, random.Random(seed).random  # noqa: S311 - for a replay, to be repeatable
        self._jobs = {job.id: job for job in jobs}
        self._projects = {job.project_id for job in jobs}
        self._coming = 0
        self._ends: list[tuple[float, int]] = []
        self._runs: dict[int, list[int]] = {}
        self._next_run = 0
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._kinds: dict[tuple[int, ...], int] = {}
        self._lags: dict[int, Lag] = {}
        self._rivals: list[set[int]] = []
        self._carried: tuple[CarriedReservation, ...] = ()
        self._now = jobs[0].submitted if jobs else 0.0

    def step(self) -> bool:
        """Go to the next event; return False if there is none."""
        now = min(self._next_arrival(), self._next_end())
        if now == float("inf"):
            return False
        self._account(now)
        self._now = now
        while self._next_end() <= now:
            self._end(heapq.heappop(self._ends)[1])
        while self._next_arrival() <= now:
            self._arrive(self.outcome.jobs[self._coming])
            self._coming += 1
        self._place()
        self.outcome.moments.append((now, len(self._queue), self._in_use()))
        return True

    def _next_arrival(self) -> float:
        jobs = self.outcome.jobs
        return jobs[self._coming].submitted if self._coming < len(jobs) else float("inf")

    def _next_end(self) -> float:
        return self._ends[0][0] if self._ends else float("inf")

    def _arrive(self, job: TraceJob) -> None:
        shape = self._shape(job)
        self._queue.add_shape(shape)
        self._queue.add(job.id, shape.id, job.submitted)

    def _place(self) -> None:
        policy = self._policy
        if self._lags:
            policy = replace(policy, credits={project: lag.credit for project, lag in self._lags.items()})
        snapshot = Snapshot(self._nodes, self._queue, self._running, policy, self.predictor, self._carried)
        plan = place(snapshot, self._now, self._chance)
        self._carried = plan.carried
        for reservation in plan.carried:
            self.outcome.promised.setdefault(reservation.job_id, reservation.promised)
        # A single project owes nothing to others, and most traces have only one project.
        self._rivals = contests(snapshot, plan) if len(self._projects) > 1 else []
        for placement in plan.placements:
            self._begin(placement)

    def _begin(self, placement: Placement) -> None:
        job = self._jobs[placement.job_id]
        if placement.member == 0:
            self._queue.discard(job.id)
            self.outcome.started[job.id] = self._now
            heapq.heappush(self._ends, (self._now + job.run_s, job.id))
        self._next_run += 1
        self._runs.setdefault(job.id, []).append(self._next_run)
        self._nodes.allocate(placement.node_id, job.requires)
        self._running.add(
            ActiveExecution(
                ExecutionId(self._next_run),
                placement.node_id,
                job.requires,
                self._now,
                expected_s=placement.expected_s,
                timeout_s=job.timeout_s,
                job_id=JobId(job.id),
                job_type_id=JobTypeId(self._kinds[job.kind]),
                project_id=ProjectId(job.project_id),
                priority=job.priority,
                longest_s=self.predictor.longest_s(job.project_id, self._kinds[job.kind], job.timeout_s, job.requires),
            )
        )

    def _end(self, job_id: int) -> None:
        job = self._jobs[job_id]
        self.ended += 1
        for run_id in self._runs.pop(job_id):
            self._nodes.release(self._running[run_id].node_id, job.requires)
            self._running.discard(run_id)
        self.predictor.learn(job.project_id, self._kinds[job.kind], job.timeout_s, job.run_s, job.requires)

    def _shape(self, job: TraceJob) -> Shape:
        key = (job.requires, job.timeout_s, job.kind, job.project_id, job.priority, job.count, job.pool)
        shape = self._shapes.get(key)
        if shape is None:
            kind = self._kinds.setdefault(job.kind, len(self._kinds) + 1)
            shape = self._shapes[key] = Shape(
                ShapeId(len(self._shapes) + 1),
                job.requires,
                pool=job.pool,
                project_id=ProjectId(job.project_id),
                job_type_id=JobTypeId(kind),
                priority=job.priority,
                timeout_s=job.timeout_s,
                count=job.count,
            )
        return shape

    def _account(self, now: float) -> None:
        """Account for what projects held until `now`, and for who waited."""
        if len(self._projects) > 1:
            held = self._running.by_project().items()
            shares = {project: fairshare.share_of(each.resources, self._fleet) for project, each in held}
            before = {project: lag.seconds for project, lag in self._lags.items()}
            length_s = partial(self._running.length_s, self._fleet)
            elapsed_s = now - self._now
            self._lags = fairshare.accrue(before, shares, self._policy.weights, self._rivals, length_s, elapsed_s)

    def _in_use(self) -> float:
        used = Resources()
        for held in self._running.by_project().values():
            used = used.add(held.resources)
        return used.dominant_share(self._fleet)
