"""The analysis behind `explain`: why the job waits, when it may start, and what would help."""

from collections.abc import Sequence
from math import exp, inf

import numpy as np

from scheduler.rules.cluster.plan import Plan, Reservation, Snapshot
from scheduler.rules.cluster.queue import WaitingJob
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import fixes, node_fit, queue_position
from scheduler.rules.explain.answer import Explanation, Fix, FixKind
from scheduler.rules.explain.blockers import blockers
from scheduler.rules.explain.node_fit import NodeFit
from scheduler.rules.explain.node_reasons import NodeReasons
from scheduler.rules.placement import filters, reservation
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.reservation import EndBasis, FutureStart, Slots, Timetable


class WaitAnalysis:
    """Answers one question about one waiting job."""

    def __init__(self, snapshot: Snapshot, job: WaitingJob, shape: Shape, now: float, plan: Plan) -> None:
        self._snapshot, self._job, self._shape, self._now = snapshot, job, shape, now
        self._nodes, self._policy = snapshot.nodes, snapshot.policy
        for asked in (shape, *(group.shape for group in snapshot.queue.ready_groups.values())):
            self._nodes.vector(asked.requires)  # gives every resource its axis before arrays are copied
        self._state = PlanState(snapshot)
        self._timetable = Timetable(self._state, snapshot.running, now, EndBasis.EXPECTED)
        self._promises = Timetable(self._state, snapshot.running, now, EndBasis.PROVEN)
        self._found = blockers(snapshot, job, shape, now)
        held_up = bool(self._found)
        self._coming = not held_up and any(placement.job_id == job.job_id for placement in plan.placements)
        self._own = next((reserved for reserved in plan.reservations if reserved.job_id == job.job_id), None)
        for reserved in queue_position.reserved_before(snapshot, job, shape, now, plan, held_up=held_up):
            self._count_reservation(reserved)
        self._reasons = NodeReasons(shape, snapshot, self._state, now, self._policy)
        self._fitting = self._reasons.fitting()
        self._ahead = queue_position.ahead(snapshot, job, shape)

    def by_node(self, first: int, most: int) -> list[NodeFit]:
        """Return why single nodes cannot take the job now, the nearest first."""
        return node_fit.of_nodes(self._shape, self._nodes, self._reasons, first=first, most=most)

    def answer(self) -> Explanation:
        """Return the whole explanation."""
        node_reasons, shape = self._reasons, self._shape
        row = fixes.cheapest(shape, self._nodes, node_reasons.room, node_reasons.masks, node_reasons.ready_s())
        main = self._found[0][0].reason if self._found else self._main()
        earliest, latest = self._band()
        return Explanation(
            job_id=self._job.job_id,
            main=main,
            blockers=tuple(blocker for blocker, _ in self._found),
            nodes=node_reasons.counts(),
            short_of=node_reasons.short_of(),
            usable=int(node_reasons.usable.sum()),
            nearest=None
            if row is None
            else fixes.nearest(shape, self._nodes, node_reasons.room, node_reasons.masks, row),
            position=queue_position.position(self._snapshot, self._job),
            ahead=sum(count for _, count in self._ahead),
            project_share=self._state.usage(shape.project_id).share,
            project_rank=queue_position.rank(self._snapshot, self._state, shape.project_id),
            reserved=self._own.node_ids if self._own else (),
            earliest=earliest,
            latest=latest,
            fixes=self._fixes(row),
            wanted=shape.count,
            fitting=self._fitting,
            unmet=node_reasons.unmet(),
        )

    def _count_reservation(self, reserved: Reservation) -> None:
        """Count the room that the plan reserves for another job."""
        rows = [row for node_id in reserved.node_ids if (row := self._nodes.row(node_id)) is not None]
        where, counts = np.unique(np.array(rows, dtype=np.intp), return_counts=True)
        start = FutureStart(reserved.start, where, counts)
        need = self._nodes.vector(reserved.resources)
        reservation.reserve(self._state, need, start, self._promises, reserved.basis, reserved.strictness)

    def _main(self) -> Reason:
        """Return the reason to show when nothing about the job itself stops it."""
        if self._coming:
            return Reason.NEXT
        if self._fitting >= self._shape.count:
            return Reason.BEHIND
        return Reason.GANG if self._fitting else self._reasons.main()

    def _fixes(self, row: int | None) -> tuple[Fix, ...]:
        """Return what would have to change on the node, and about the job itself.

        The second is judged once the job asks for no more than the node has.
        """
        on_node = [] if self._coming else self._node_fixes(row)
        modest = fixes.shape_after(self._shape, on_node)
        about_job = blockers(self._snapshot, self._job, modest, self._now)
        return tuple(fix for _, fix in about_job) + tuple(on_node)

    def _node_fixes(self, row: int | None) -> list[Fix]:
        """Return what lets a member start on that node, or new nodes.

        If that is not enough for all members, the number that could start then is among the fixes.
        """
        shape, node_reasons, found, fitting = self._shape, self._reasons, list[Fix](), self._fitting
        if not fitting:
            found = fixes.fixes(
                shape, self._nodes, self._policy, node_reasons.room, node_reasons.masks, row, node_reasons.ready_s()
            )
            if any(fix.kind is FixKind.ADD_NODE for fix in found):
                return found
            after, policy = fixes.shape_after(shape, found), fixes.policy_after(self._policy, found)
            fitting = max(1, NodeReasons(after, self._snapshot, self._state, self._now, policy).fitting(besides=row))
        return found if fitting >= shape.count else [*found, Fix(FixKind.ASK_FEWER, "", fitting)]

    def _band(self) -> tuple[float | None, float | None]:
        """Return the earliest and the latest probable start; unknown for a job that waits until somebody acts.

        The band is as wide as recent predictions were wrong, plus the time that the whole fleet needs for the jobs
        that go first.
        """
        if self._coming:
            return self._now, self._now
        times = [fix.to for _, fix in self._found if fix.kind is FixKind.WAIT_UNTIL and fix.to is not None]
        if len(times) < len(self._found):
            return None, None
        due = max([self._now, *times])
        first = self._room_by(due)
        if first is None:
            return None, None
        off, work = exp(self._snapshot.predictor.error), self._work_ahead()
        earliest = max(due, self._now + (first - self._now) / off)
        return earliest, None if work == inf else max(due, self._now + (first - self._now) * off) + work

    def _room_by(self, due: float) -> float | None:
        """Return when there is room by the expected ends if nothing else is in the way; None where unknown."""
        if self._fitting >= self._shape.count:
            return due
        most = self._most_by_row()
        ends = self._timetable.ends(most > 0)
        values = None if self._shape.apart is None else self._nodes.label_codes(self._shape.apart)
        start = reservation.earliest(self._reasons.need, most, self._shape.count, self._state, ends, values)
        return None if start is None else max(due, start.at)

    def _most_by_row(self) -> Slots:
        """How many members may sit on each row: where room is kept for the job, as many as that; else any number on any that would do."""
        if self._own is None:
            return np.where(filters.eligible(self._shape, self._nodes, self._policy), self._shape.count, 0)
        rows = self._nodes.rows_of(np.array(self._own.node_ids))
        return np.bincount(rows[rows >= 0], minlength=len(self._nodes.present()))

    def _work_ahead(self) -> float:
        """Return the seconds that the whole fleet needs for the jobs ahead, without those that no node could take."""
        ahead = [one for one in self._ahead if filters.eligible(one[0], self._nodes, self._policy).any()]
        shares: Sequence[float] = self._state.shares([shape for shape, _ in ahead]).tolist()
        pairs = zip(ahead, shares, strict=True)
        return sum((count * share * self._expected(shape) for (shape, count), share in pairs if share > 0), 0.0)

    def _expected(self, shape: Shape) -> float:
        predictor = self._snapshot.predictor
        return predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires)
