"""Quotas and type limits within one plan, with room held back for earlier jobs.

A job that only its limits stop will have its turn when enough of what runs under them has ended. Until then, later
jobs under the same limit may use what has ended by that moment and the earlier job does not need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.policy import Policy, Quota
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import reservation
from scheduler.rules.placement.filters import LimitAllowance
from scheduler.rules.placement.plan_state import EndTimes, PlanState
from scheduler.rules.placement.reservation import EndBasis

LimitAmounts = NDArray[np.float64]
"""Amounts that count under a limit: cpus, mem, executions."""

_PROJECT, _TYPE = "project", "type"
LimitKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _HeldBack:
    """An amount held back under one limit: from `start` on, only `spare` of the limit is for other jobs."""

    start: float
    spare: LimitAmounts


class PlanLimits:
    """The limits of one plan."""

    def __init__(self, snapshot: Snapshot, state: PlanState, now: float) -> None:
        self._policy, self._running = snapshot.policy, snapshot.running
        self._state, self._now = state, now
        self._basis = EndBasis.PROVEN if snapshot.policy.predict else EndBasis.LIMIT
        self._held_back: dict[LimitKey, _HeldBack] = {}
        self._planned: dict[LimitKey, list[tuple[float, LimitAmounts]]] = {}

    def allowance(self, shape: Shape, ends: EndTimes) -> LimitAllowance:
        """Return how many more jobs of the shape may start, if they will have ended at `ends`."""
        allowed = self._state.allowance(shape)
        if self._held_back:
            need = _need(shape)
            for key in _limits(shape, self._policy):
                held_back = self._held_back.get(key)
                if held_back is not None and ends.cautious > held_back.start:
                    jobs = max(0.0, float(np.floor(held_back.spare[need > 0] / need[need > 0]).min()))
                    allowed = allowed if allowed.jobs <= jobs else LimitAllowance(jobs, Reason.BEHIND)
        return allowed

    def hold_back(self, shape: Shape, since: float) -> float | None:
        """Hold back, under its limits, what a job of the shape needs; return from when on.

        That is the first moment after `since` at which the limits will probably let it start. For a job that they
        will never let start, nothing is held back and the answer is None. A limit holds back for one job only, the
        first.
        """
        limits, need = _limits(shape, self._policy), _need(shape)
        if any((need > limit).any() for limit in limits.values()):
            return None
        amounts_left = {key: self._amounts_left(key, shape, limit) for key, limit in limits.items()}
        start = since
        for at, left in amounts_left.values():
            enough = np.flatnonzero((left >= need).all(axis=1))
            if not len(enough):
                return None
            start = max(start, float(at[enough[0]]))
        for key, (at, left) in amounts_left.items():
            if key not in self._held_back:
                self._held_back[key] = _HeldBack(start, left[np.searchsorted(at, start, "right") - 1] - need)
        return start if start < inf else None

    def add_placements(self, shape: Shape, jobs: int, ends: EndTimes) -> None:
        """Count jobs that this plan places, and when they will have ended."""
        for key in _limits(shape, self._policy):
            self._planned.setdefault(key, []).append((ends.proven, _need(shape) * jobs))
            held_back = self._held_back.get(key)
            if held_back is not None and ends.cautious > held_back.start:
                held_back.spare[:] -= _need(shape) * jobs

    def _amounts_left(
        self, key: LimitKey, shape: Shape, limit: LimitAmounts
    ) -> tuple[NDArray[np.float64], LimitAmounts]:
        """Return what is left under a limit now and after each of the coming ends.

        The first array has the moments, the second a row for each of them.
        """
        running = self._running
        own = running.project_ids == key[1] if key[0] == _PROJECT else running.type_ids == key[1]
        own = np.flatnonzero(own & (running.node_ids >= 0))
        table = np.array([(need.cpus, need.mem, 1) for need in running.requests()], dtype=np.float64).reshape(-1, 3)
        at = [reservation.coming_ends(running, self._now, self._basis)[own]]
        gives = [table[running.request[own]]]
        for end, given in self._planned.get(key, ()):
            at.append(np.array([end]))
            gives.append(given[None, :])
        ends = np.concatenate(at)
        order = np.argsort(ends, kind="stable")
        left = limit - self._held(key, shape) + np.cumsum(np.concatenate(gives)[order], axis=0)
        return np.concatenate([[self._now], ends[order]]), np.concatenate([[limit - self._held(key, shape)], left])

    def _held(self, key: LimitKey, shape: Shape) -> LimitAmounts:
        if key[0] == _TYPE:
            return np.array([0, 0, self._state.of_type(shape.job_type_id)], dtype=np.float64)
        usage = self._state.usage(shape.project_id)
        return np.array([usage.resources.cpus, usage.resources.mem, usage.executions], dtype=np.float64)


def _need(shape: Shape) -> LimitAmounts:
    return np.array([shape.requires.cpus, shape.requires.mem, 1], dtype=np.float64) * shape.count


def _limits(shape: Shape, policy: Policy) -> Mapping[LimitKey, LimitAmounts]:
    """Return the limits that the shape's jobs are under; inf where a limit has no number."""
    limits: dict[LimitKey, LimitAmounts] = {}
    quota, most = policy.quotas.get(shape.project_id), policy.max_scheduled.get(shape.job_type_id)
    if quota is not None and quota != Quota():
        said = (quota.cpus, quota.mem, quota.jobs)
        limits[_PROJECT, shape.project_id] = np.array([inf if one is None else one for one in said], dtype=np.float64)
    if most is not None:
        limits[_TYPE, shape.job_type_id] = np.array([inf, inf, most], dtype=np.float64)
    return limits
