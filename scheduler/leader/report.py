"""The leader's report: its status for operators, and the accounts of the usage of projects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from scheduler.cluster_state import ClusterState
from scheduler.identifiers import ShapeId
from scheduler.leader.tick import TickResult
from scheduler.leader.waits import ShapeWaits
from scheduler.rules.cluster.reasons import NO_NODES, Reason
from scheduler.rules.explain.main_reason import MainReasons
from scheduler.rules.explain.wording import slug
from scheduler.runtime import Runtime
from scheduler.store.leader import cluster_state

_STATUS_EVERY_S = 0.5
_ACCOUNTS_EVERY_S = 30.0
_MOST_ACCOUNTED_S = 300.0
"""Of a time without ticks no more is accounted: nobody knows what was held."""


class LeaderReport:
    """The latest status, and when status and accounts were last made. `status` may be read by any thread."""

    def __init__(self, rt: Runtime, violations: Mapping[str, int]) -> None:
        self._rt, self._violations = rt, violations
        self.status = "{}"
        """JSON that goes into the leader's row with its next sign of life."""
        self._status_at = -_STATUS_EVERY_S
        self._accounts_at: float | None = None
        self._placed = self._lost = 0
        self.waits: ShapeWaits | None = None
        """Which shapes waited at the last look, for `waits`; None before the first one of a term."""

    def begin(self) -> None:
        """Account from the next tick on: before it, another process led."""
        self._accounts_at = None
        self.waits = None

    def count(self, result: TickResult) -> None:
        """Count what a tick has done towards the totals of this process."""
        self._placed += result.placed
        self._lost += result.lost

    def update(self, state: ClusterState, result: TickResult, tick_s: float, now: float) -> None:
        """Make status and accounts anew where they are due. `now` is monotonic seconds, after the tick."""
        if now - self._status_at >= _STATUS_EVERY_S:
            self.status, self._status_at = self._status_of(state, result, tick_s), now
        if self._accounts_at is None or now - self._accounts_at >= _ACCOUNTS_EVERY_S:
            elapsed, self._accounts_at = (0.0 if self._accounts_at is None else now - self._accounts_at), now
            elapsed = min(elapsed, _MOST_ACCOUNTED_S)
            if elapsed:
                accounts = state.account(result.plan, elapsed)
                with self._rt.db.begin() as tx:
                    cluster_state.write_accounts(tx, accounts)

    def _status_of(self, state: ClusterState, result: TickResult, tick_s: float) -> str:
        return orjson.dumps(
            {
                "queued": len(state.queue),
                "tick_ms": round(tick_s * 1000, 2),
                "waiting_by_reason": self._waiting_by_reason(state, result),
                # Its own settings: what operators set over them is known without it, and at once.
                "preemption": self._rt.settings.preemption,
                "reservations": self._rt.settings.reservations,
                "reserved": len(result.plan.reservations),
                "placed": self._placed,
                "lost": self._lost,
                "violations": dict(self._violations),
                "prediction_error": round(state.predictor.error, 4),
            }
        ).decode()

    def _waiting_by_reason(self, state: ClusterState, result: TickResult) -> dict[str, int]:
        """Return how many jobs wait, by the main reason, in the words of the API; and keep the reasons of the shapes."""
        queue, main = state.queue, MainReasons(state.snapshot())
        counts = Counter(dict(zip(map(slug, _OWN), queue.count_blocked(), strict=True)))
        reasons: dict[ShapeId, str] = {}
        for shape_id, refusal in result.plan.refusals.items():
            count = queue.count(shape_id)
            if count:
                reason = main.of(queue.groups[shape_id].shape, refusal)
                nowhere = reason is Reason.NODE_NOT_READY and not len(state.nodes)
                reasons[ShapeId(shape_id)] = word = NO_NODES if nowhere else slug(reason)
                counts[word] += count
        self.waits = ShapeWaits(datetime.fromtimestamp(state.now, UTC), reasons)
        return dict(+counts)


_OWN = (Reason.HELD, Reason.NOT_BEFORE, Reason.DATA_SET)
"""In the order in which the queue counts them."""
