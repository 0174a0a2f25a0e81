"""The replay: time jumps from one arrival or end to the next, and at each of them the real `place` makes a plan."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from scheduler.identifiers import ExecutionId, JobId, JobTypeId, ProjectId, ShapeId
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster import fairshare
from scheduler.rules.cluster.fairshare import Lag
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.plan import CarriedReservation, Placement, Plan, Snapshot
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
    """The state that a live scheduler keeps, and beside it the future of the trace, which a scheduler does not know."""

    def __init__(self, jobs: Sequence[TraceJob], nodes: Iterable[Node], policy: Policy, seed: int) -> None:
        self._nodes, self._queue, self._running = Nodes(nodes), Queue(), Running()
        self.outcome = ReplayResult(jobs, self._nodes.total(self._nodes.present()))
        self.predictor = Predictor()
        self._policy, self._chance = policy, random.Random(seed).random  # noqa: S311 - for a replay, to be repeatable
        self._future = _Future(jobs)
        self._shapes = _Shapes()
        self._debts = _Debts(len({job.project_id for job in jobs}) > 1)
        self._carried: tuple[CarriedReservation, ...] = ()
        self._now = jobs[0].submitted if jobs else 0.0

    @property
    def ended(self) -> int:
        """How many jobs have ended so far."""
        return self._future.ended

    def step(self) -> bool:
        """Go to the next event; return False if there is none."""
        now = self._future.next_event()
        if now == inf:
            return False
        self._go_to(now)
        for job, run_ids in self._future.ends_by(now):
            self._end(job, run_ids)
        for job in self._future.arrivals_by(now):
            shape = self._shapes.of(job)
            self._queue.add_shape(shape)
            self._queue.add(job.id, shape.id, job.submitted)
        self._place()
        self.outcome.moments.append((now, len(self._queue), self._in_use()))
        return True

    def _go_to(self, now: float) -> None:
        """Let time pass, and account for what projects held meanwhile, and for who waited."""
        self._debts.account(self._running, self._fleet(), self._policy, now - self._now)
        self._now = now

    def _fleet(self) -> Resources:
        """Return what shares are shares of."""
        return self.outcome.fleet

    def _place(self) -> None:
        policy = self._debts.credited(self._policy)
        snapshot = Snapshot(self._nodes, self._queue, self._running, policy, self.predictor, self._carried)
        plan = place(snapshot, self._now, self._chance)
        self._carried = plan.carried
        for reservation in plan.carried:
            self.outcome.promised.setdefault(reservation.job_id, reservation.promised)
        self._debts.look(snapshot, plan)
        for placement in plan.placements:
            self._begin(placement)

    def _begin(self, placement: Placement) -> None:
        job = self._future.job(placement.job_id)
        if placement.member == 0:
            self._queue.discard(job.id)
            self.outcome.started[job.id] = self._now
        run_id = self._future.begin(job, self._now, is_first=placement.member == 0)
        kind = self._shapes.kind(job)
        self._nodes.allocate(placement.node_id, job.requires)
        self._running.add(
            ActiveExecution(
                ExecutionId(run_id),
                placement.node_id,
                job.requires,
                self._now,
                expected_s=placement.expected_s,
                timeout_s=job.timeout_s,
                job_id=JobId(job.id),
                job_type_id=JobTypeId(kind),
                project_id=ProjectId(job.project_id),
                priority=job.priority,
                longest_s=self.predictor.longest_s(job.project_id, kind, job.timeout_s, job.requires),
            )
        )

    def _end(self, job: TraceJob, run_ids: Sequence[int]) -> None:
        for run_id in run_ids:
            self._nodes.release(self._running[run_id].node_id, job.requires)
            self._running.discard(run_id)
        self.predictor.learn(job.project_id, self._shapes.kind(job), job.timeout_s, job.run_s, job.requires)

    def _in_use(self) -> float:
        used = Resources()
        for held in self._running.by_project().values():
            used = used.add(held.resources)
        return used.dominant_share(self._fleet())


class _Future:
    """The jobs of a trace (sorted by submission time) that are still to come, and the ends of those that run."""

    def __init__(self, jobs: Sequence[TraceJob]) -> None:
        self.ended = 0
        self._jobs, self._by_id = jobs, {job.id: job for job in jobs}
        self._coming = 0
        self._ends: list[tuple[float, int]] = []
        self._runs: dict[int, list[int]] = {}
        self._last_run = 0

    def next_event(self) -> float:
        """Return when the next job arrives or ends; inf if none does."""
        arrival = self._jobs[self._coming].submitted if self._coming < len(self._jobs) else inf
        return min(arrival, self._ends[0][0] if self._ends else inf)

    def arrivals_by(self, now: float) -> Iterator[TraceJob]:
        """Yield the jobs that have been submitted by now; each once."""
        while self._coming < len(self._jobs) and self._jobs[self._coming].submitted <= now:
            self._coming += 1
            yield self._jobs[self._coming - 1]

    def ends_by(self, now: float) -> Iterator[tuple[TraceJob, list[int]]]:
        """Yield the jobs that have ended by now, each once, with its executions."""
        while self._ends and self._ends[0][0] <= now:
            job_id = heapq.heappop(self._ends)[1]
            self.ended += 1
            yield self._by_id[job_id], self._runs.pop(job_id)

    def job(self, job_id: int) -> TraceJob:
        """Return a job of the trace."""
        return self._by_id[job_id]

    def begin(self, job: TraceJob, now: float, *, is_first: bool) -> int:
        """Let an execution of a job begin, the first of its members or another; return the execution's id."""
        if is_first:
            heapq.heappush(self._ends, (now + job.run_s, job.id))
        self._last_run += 1
        self._runs.setdefault(job.id, []).append(self._last_run)
        return self._last_run


class _Shapes:
    """The shapes of the jobs of a trace, and the numbers that stand for their job types."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._kinds: dict[tuple[int, ...], int] = {}

    def kind(self, job: TraceJob) -> int:
        """Return the number of a job's type."""
        return self._kinds.setdefault(job.kind, len(self._kinds) + 1)

    def of(self, job: TraceJob) -> Shape:
        """Return the shape of a job, the same for all that ask for the same."""
        key = (job.requires, job.timeout_s, job.kind, job.project_id, job.priority, job.count, job.pool)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(
                ShapeId(len(self._shapes) + 1),
                job.requires,
                pool=job.pool,
                project_id=ProjectId(job.project_id),
                job_type_id=JobTypeId(self.kind(job)),
                priority=job.priority,
                timeout_s=job.timeout_s,
                count=job.count,
            )
        return shape


class _Debts:
    """What projects lack of their share. Most traces have only one project, which owes nothing to others."""

    def __init__(self, several: bool) -> None:
        self._several = several
        self._lags: dict[int, Lag] = {}
        self._rivals: list[set[int]] = []

    def credited(self, policy: Policy) -> Policy:
        """Return the policy with what projects are owed."""
        if not self._lags:
            return policy
        return replace(policy, credits={project: lag.credit for project, lag in self._lags.items()})

    def look(self, snapshot: Snapshot, plan: Plan) -> None:
        """Note who waits for the same room after this plan."""
        self._rivals = contests(snapshot, plan) if self._several else []

    def account(self, running: Running, fleet: Resources, policy: Policy, elapsed_s: float) -> None:
        """Account for what projects held for so long, and for who waited."""
        if self._several:
            held = running.by_project().items()
            shares = {project: fairshare.share_of(each.resources, fleet) for project, each in held}
            before = {project: lag.seconds for project, lag in self._lags.items()}
            length_s = partial(running.length_s, fleet)
            self._lags = fairshare.accrue(before, shares, policy.weights, self._rivals, length_s, elapsed_s)
