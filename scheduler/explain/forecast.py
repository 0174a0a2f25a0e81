"""Forecasts: why a job waits and what would become of a new one, answered by the scheduler's own placement code.

A process that answers such questions keeps a cluster state like the leader's, and brings it up to date at each question.
The first question after a quiet time reads everything again, which takes some seconds with a million waiting jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.cluster_state import ClusterState
from scheduler.identifiers import ExecutionId, JobId, ProjectId
from scheduler.jobs.admission import AdmissionCheck
from scheduler.rules.cluster.plan import Placement, Plan
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import explain, queue_position, trial
from scheduler.rules.explain.answer import Explanation, Fix, NoFittingNode
from scheduler.rules.explain.explain import TrialJob
from scheduler.rules.explain.main_reason import MainReasons
from scheduler.rules.explain.node_fit import NodeFit
from scheduler.rules.explain.queue_position import ProjectStanding, QueueEntry
from scheduler.rules.placement.placement import place
from scheduler.runtime import Runtime

STALE_S = 300.0
"""After so many seconds without a question it is cheaper to read the queue than all changes since."""

_PLAN_KEPT_S = 1.0
"""A plan is used again for so many seconds if nothing has changed since: only the waiting times differ."""

_PLAN_WORTH = 20.0
"""A plan is used again for so many times the time that it took, whatever changed: then plans cost at most a twentieth of a core."""

_POLICY_KEPT_S = 5.0
"""Seconds between two readings of the accounts of projects; the leader writes them twice a minute."""

_OF_OTHERS = frozenset({Reason.BEHIND, Reason.NEXT, Reason.RESERVED})
"""Reasons that only jobs have which could start on some node."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Why a job waits, among how many nodes, and whether it could never start; `placement` if the next tick would place it.

    `names` has the names of the nodes that are mentioned, `assigned` the node of each member that would be placed.
    """

    explanation: Explanation
    nodes: int
    names: Mapping[int, str] = field(default_factory=dict)
    never: NoFittingNode | None = None
    placement: Placement | None = None
    assigned: Sequence[int] = ()
    stops: Sequence[ExecutionId] = ()
    """Executions that would be stopped to make room for it."""


@dataclass(frozen=True, slots=True)
class NodeFits:
    """Some nodes, the nearest first, how many there are, and what a member of the job asks for."""

    fits: Sequence[NodeFit]
    total: int
    asked: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HeadForecast:
    """The first jobs of the queue in their order, the plan for this moment, and the names of its nodes.

    `reasons` has the main reason of each shape among them that the plan refused, `hopeless` the shapes that no node could ever take.
    """

    entries: Sequence[QueueEntry]
    plan: Plan
    names: Mapping[int, str]
    reasons: Mapping[int, Reason] = field(default_factory=dict)
    hopeless: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _DatedPlan:
    """A plan with the version and time (the database's clock) of its cluster state, when it was ready, and how long it took."""

    plan: Plan
    version: int
    at: float
    made: float
    took_s: float


class Forecaster:
    """Answers questions, one at a time, from any thread. A process needs only one."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._lock = threading.Lock()
        self._state: ClusterState | None = None
        self._asked = 0.0
        self._policy_at = 0.0
        self._last: _DatedPlan | None = None
        self.admission = AdmissionCheck(rt, monotonic)

    def explain(self, job_id: JobId) -> Forecast | None:
        """Return why a job waits; None for a job that does not wait to be placed."""
        with self._lock:
            state = self._fresh()
            if job_id not in state.queue:
                return None
            explanation = explain.explain(state.snapshot(), job_id, state.now, self._current(state, job_id))
            shape = state.queue.groups[state.queue[job_id].shape_id].shape
            return self._forecast(state, shape, explanation)

    def by_node(self, job_id: JobId, *, first: int, most: int) -> NodeFits | None:
        """Return why single nodes cannot take a job now, the nearest first; None for a job that does not wait to be placed."""
        with self._lock:
            state = self._fresh()
            if job_id not in state.queue:
                return None
            plan = self._current(state, job_id)
            fits = explain.by_node(state.snapshot(), job_id, state.now, plan, first=first, most=most)
            shape = state.queue.groups[state.queue[job_id].shape_id].shape
            return NodeFits(fits, len(state.nodes), dict(shape.requires.amounts()))

    def after_changes(self, job_id: JobId, choose: Callable[[Sequence[Fix]], Sequence[Fix]]) -> Forecast | None:
        """Return what the next tick would do with a waiting job once changes are made, chosen from those that would help.

        None for a job that does not wait to be placed. Nothing is written.
        """
        with self._lock:
            state = self._fresh()
            if job_id not in state.queue:
                return None
            now = explain.explain(state.snapshot(), job_id, state.now, self._current(state, job_id))
            chosen, limit = choose(now.fixes), self._rt.settings.tick_limit
            self._state = None  # in doubt while nodes and queue are changed
            plan, then, shape = trial.after(state.snapshot(), job_id, state.now, chosen, state.chance(), limit)
            self._state = state
            placed = [one for one in plan.placements if one.job_id == job_id]
            stops = next((one.execution_ids for one in plan.preemptions if one.job_id == job_id), ())
            return self._forecast(state, shape, then, placed, stops)

    def head(self, most: int, project_id: ProjectId | None) -> HeadForecast:
        """Return which jobs go next, in the order in which the scheduler looks at them, with what it would do; of one project if told."""
        with self._lock:
            state = self._fresh()
            entries = queue_position.head(state.snapshot(), state.now, most, project_id)
            plan = self._current(state, JobId(entries[0].job_id)) if entries else Plan()
            spoken_of = {one.node_id for one in plan.placements} | {
                one for kept in plan.reservations for one in kept.node_ids
            }
            names: dict[int, str] = {one: state.nodes[one].name for one in spoken_of if one in state.nodes}
            refused: dict[int, Shape] = {
                entry.shape.id: entry.shape for entry in entries if entry.shape.id in plan.refusals
            }
            main = MainReasons(state.snapshot())
            reasons = {each: main.of(shape, plan.refusals[each]) for each, shape in refused.items()}
            hopeless = {each for each, shape in refused.items() if self._is_hopeless(shape, reasons[each])}
            return HeadForecast(entries, plan, names, reasons, frozenset(hopeless))

    def _is_hopeless(self, shape: Shape, reason: Reason) -> bool:
        """Tell whether no node could ever take a shape; what waits for its turn alone could start."""
        return reason not in _OF_OTHERS and self.admission.never_fits(shape, sure=False) is not None

    def standings(self) -> list[ProjectStanding]:
        """Return how the projects stand that wait or hold something, whoever goes first first."""
        with self._lock:
            return queue_position.standings(self._fresh().snapshot())

    def preview(self, trials: Sequence[TrialJob]) -> list[Forecast]:
        """Return what the next tick would do with jobs that are submitted together now, in order; nothing is written."""
        with self._lock:
            state = self._fresh()
            limit = self._rt.settings.tick_limit
            plan, explanations = explain.previews(state.snapshot(), trials, state.now, state.chance(), limit)
            placed: dict[int, list[Placement]] = {}
            for placement in plan.placements:
                placed.setdefault(placement.job_id, []).append(placement)
            cleared: dict[int, Sequence[ExecutionId]] = {one.job_id: one.execution_ids for one in plan.preemptions}
            return [
                self._forecast(state, trial.shape, one, placed.get(one.job_id, ()), cleared.get(one.job_id, ()))
                for trial, one in zip(trials, explanations, strict=True)
            ]

    def _forecast(
        self,
        state: ClusterState,
        shape: Shape,
        explanation: Explanation,
        placed: Sequence[Placement] = (),
        stops: Sequence[ExecutionId] = (),
    ) -> Forecast:
        assigned = [placement.node_id for placement in placed]
        spoken_of = {*explanation.reserved, *assigned}
        names = {node_id: state.nodes[node_id].name for node_id in spoken_of if node_id in state.nodes}
        # There may be room for some members of a gang, but never for all.
        some = explanation.usable if shape.count == 1 else placed
        never = None if some else self.admission.never_fits(shape, sure=False)
        return Forecast(explanation, len(state.nodes), names, never, placed[0] if placed else None, assigned, stops)

    def _current(self, state: ClusterState, job_id: JobId) -> Plan:
        """Return a plan of this moment, or the last one while it is recent enough and knows the job."""
        began, last = self._monotonic(), self._last
        if last is not None and state.queue.queued_at(job_id) < last.at:
            age = began - last.made
            if age < _PLAN_WORTH * last.took_s or (last.version == state.version and age < _PLAN_KEPT_S):
                return last.plan
        plan = place(state.snapshot(), state.now, state.chance(), self._rt.settings.tick_limit)
        made = self._monotonic()
        self._last = _DatedPlan(plan, state.version, state.now, made, made - began)
        return plan

    def _fresh(self) -> ClusterState:
        now = self._monotonic()
        if self._state is None or now - self._asked > STALE_S:
            self._state, self._last = ClusterState(self._rt.settings), None
        self._asked = now
        state, self._state = self._state, None  # in doubt until the refresh has succeeded
        with self._rt.db.begin() as tx:
            state.refresh(tx)
            if now - self._policy_at > _POLICY_KEPT_S:
                state.reread_policy(tx)
                self._policy_at = now
        self._state = state
        return state
