"""Why a job waits and what would become of one: answered by the scheduler's own code on a picture of this process.

A process that answers such questions keeps a picture like the leader's, and brings it up to date at each question by
what has changed. The first question after a quiet time reads everything anew, which takes some seconds with a million
waiting jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.cluster_state import ClusterState
from scheduler.identifiers import ExecutionId, JobId
from scheduler.jobs.admission import AdmissionCheck
from scheduler.rules.cluster.plan import Placement, Plan
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import explain
from scheduler.rules.explain.answer import Explanation, NeverFits
from scheduler.rules.explain.explain import TrialJob
from scheduler.rules.placement.placement import place
from scheduler.runtime import Runtime

STALE_S = 300.0
"""After so long without a question it is cheaper to read the queue than all that happened since."""

_PLAN_KEPT_S = 1.0
"""A plan of a picture in which nothing changed since is good for so long: that somebody waits longer is all that differs."""

_PLAN_WORTH = 20.0
"""A plan is used for so many times as long as it took to make, whatever changed: plans for questions cost a twentieth of a core at most."""

_POLICY_KEPT_S = 5.0
"""The accounts of projects are read anew so often; the leader writes them twice a minute."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Why a job waits, among how many nodes, and whether for ever; `placement` where the next tick would place it.

    `names` has the nodes that it speaks of, `seats` the node of each member that would be placed.
    """

    told: Explanation
    nodes: int
    names: Mapping[int, str] = field(default_factory=dict)
    never: NeverFits | None = None
    placement: Placement | None = None
    seats: Sequence[int] = ()
    clears: Sequence[ExecutionId] = ()
    """Executions that would be stopped to make room for it."""


@dataclass(frozen=True, slots=True)
class _DatedPlan:
    """A plan, of which version of the picture and moment (the database's clock), when it was ready, and what it cost."""

    plan: Plan
    version: int
    at: float
    made: float
    took_s: float


class Forecaster:
    """One per process; its methods may be called from any thread, one is answered at a time."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._asking = threading.Lock()
        self._state: ClusterState | None = None
        self._asked = 0.0
        self._policy_at = 0.0
        self._last: _DatedPlan | None = None
        self.admission = AdmissionCheck(rt, monotonic)

    def why(self, job_id: JobId) -> Forecast | None:
        """Say why a job waits; None for one that does not wait to be placed."""
        with self._asking:
            state = self._fresh()
            if job_id not in state.queue:
                return None
            told = explain.explain(state.snapshot(), job_id, state.now, self._current(state, job_id))
            shape = state.queue.groups[state.queue[job_id].shape_id].shape
            return self._outlook(state, shape, told)

    def preview(self, wishes: Sequence[TrialJob]) -> list[Forecast]:
        """Say what the next tick would do with jobs submitted together now, in that order; nothing is written."""
        with self._asking:
            state = self._fresh()
            limit = self._rt.settings.tick_limit
            plan, told = explain.previews(state.snapshot(), wishes, state.now, state.chance(), limit)
            placed: dict[int, list[Placement]] = {}
            for placement in plan.placements:
                placed.setdefault(placement.job_id, []).append(placement)
            cleared: dict[int, Sequence[ExecutionId]] = {one.job_id: one.execution_ids for one in plan.preemptions}
            return [
                self._outlook(state, wish.shape, one, placed.get(one.job_id, ()), cleared.get(one.job_id, ()))
                for wish, one in zip(wishes, told, strict=True)
            ]

    def _outlook(
        self,
        state: ClusterState,
        shape: Shape,
        told: Explanation,
        placed: Sequence[Placement] = (),
        clears: Sequence[ExecutionId] = (),
    ) -> Forecast:
        seats = [placement.node_id for placement in placed]
        spoken_of = {*told.reserved, *seats}
        names = {node_id: state.nodes[node_id].name for node_id in spoken_of if node_id in state.nodes}
        # There may be room for some members of a gang, and never for all.
        some = told.usable if shape.count == 1 else placed
        never = None if some else self.admission.never_fits(shape, sure=False)
        return Forecast(told, len(state.nodes), names, never, placed[0] if placed else None, seats, clears)

    def _current(self, state: ClusterState, job_id: JobId) -> Plan:
        """The plan of this moment; the last one, while it is good enough and has seen the job."""
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
        state, self._state = self._state, None  # in doubt until it has been read
        with self._rt.db.begin() as tx:
            state.refresh(tx)
            if now - self._policy_at > _POLICY_KEPT_S:
                state.reread_policy(tx)
                self._policy_at = now
        self._state = state
        return state
