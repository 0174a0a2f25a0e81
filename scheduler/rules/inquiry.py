"""The looking-up behind `explain`: node by node, place in the queue, expected start, and what would help."""

from bisect import bisect_left
from math import inf

import numpy as np

from scheduler.rules import filters, remedy, reservation, seating
from scheduler.rules.explanation import Change, Explanation, Fix
from scheduler.rules.filters import Reason
from scheduler.rules.ledger import Ledger
from scheduler.rules.nodes import Mask
from scheduler.rules.obstacles import obstacles
from scheduler.rules.plan import Plan, Reservation, Snapshot
from scheduler.rules.prediction import cautious_s
from scheduler.rules.reservation import Start, Timetable
from scheduler.rules.seating import Seeker
from scheduler.rules.shapes import Shape
from scheduler.rules.waiting import Line, Waiting


class Inquiry:
    """One question about one waiting job, with the pictures it is answered from."""

    def __init__(self, snapshot: Snapshot, job: Waiting, shape: Shape, now: float, plan: Plan) -> None:
        self._snapshot, self._job, self._shape, self._now, self._plan = snapshot, job, shape, now, plan
        self._nodes = snapshot.nodes
        self._need = self._nodes.vector(shape.requires)
        self._ledger = Ledger(snapshot)
        self._timetable = Timetable(self._ledger, snapshot.running, now)
        self._own: Reservation | None = None
        self._keep_reserved()
        self._ends_by = now + cautious_s(self._expected(shape), shape.timeout_s)
        self._room = self._ledger.room(np.arange(len(self._nodes.present())), self._ends_by)
        self._masks = self._refused()
        self._usable = self._nodes.present() & ~_any(self._masks, self._nodes.present())
        self._seats = self._count_seats()
        self._ahead = self._find_ahead()

    def answer(self) -> Explanation:
        """The whole explanation."""
        found = obstacles(self._snapshot, self._job, self._shape, self._now)
        row = remedy.cheapest(self._shape, self._nodes, self._room, self._masks)
        held_up = tuple(obstacle for obstacle, _ in found)
        main = held_up[0].reason if held_up else self._main()
        earliest, latest = self._band(main, found[-1][1] if found else None)
        place_in_line = self._snapshot.queue.position(self._job.job_id)
        tally = self._ledger.tally(self._shape.project_id)
        return Explanation(
            job_id=self._job.job_id,
            main=main,
            obstacles=held_up,
            nodes={reason: int(mask.sum()) for reason, mask in self._masks.items() if mask.any()},
            short_of=self._short_of(),
            usable=int(self._usable.sum()),
            nearest=None if row is None else remedy.nearest(self._shape, self._nodes, self._room, self._masks, row),
            position=place_in_line,
            ahead=sum(count for _, count in self._ahead),
            project_share=tally.share,
            project_rank=self._rank(),
            reserved=self._own.node_ids if self._own else (),
            earliest=earliest,
            latest=latest,
            changes=self._changes(row),
            wanted=self._shape.count,
            seats=self._seats,
        )

    def _keep_reserved(self) -> None:
        """Count the room that the plan keeps for others; remember what it keeps for this job."""
        for kept in self._plan.reservations:
            if kept.job_id == self._job.job_id:
                self._own = kept
                continue
            rows = [row for node_id in kept.node_ids if (row := self._nodes.row(node_id)) is not None]
            where, counts = np.unique(np.array(rows, dtype=np.intp), return_counts=True)
            there = np.isin(np.arange(len(self._nodes.present())), where)
            ends = self._timetable.ends(there)
            start = Start(kept.start, where, counts)
            reservation.keep(self._ledger, self._nodes.vector(kept.resources), start, ends)

    def _refused(self) -> dict[Reason, Mask]:
        """Every reason with the rows that fail for it, those of the moment included."""
        shape, nodes, present = self._shape, self._nodes, self._nodes.present()
        masks = filters.refusals(shape, nodes, self._snapshot.policy)
        large = filters.holds(self._need, nodes.capacity)
        free = filters.holds(self._need, self._ledger.free)
        masks[Reason.NO_ROOM] = present & large & ~free
        masks[Reason.RESERVED] = present & free & ~filters.holds(self._need, self._room)
        if shape.apart is not None:
            masks[Reason.APART] = present & seating.kept_apart(shape, self._ledger)
        return masks

    def _count_seats(self) -> int:
        """How many of the members could start at once."""
        if self._shape.count == 1:
            return min(1, int(self._usable.sum()))
        seeker = Seeker(self._shape, self._need, self._ends_by)
        choice = seating.seat(seeker, self._ledger, self._snapshot.policy, self._shape.count)
        return int(choice.counts.sum())

    def _main(self) -> Reason:
        """The reason to show when nothing about the job itself holds it."""
        if self._seats >= self._shape.count:
            coming = any(placement.job_id == self._job.job_id for placement in self._plan.placements)
            return Reason.NEXT if coming else Reason.BEHIND
        if self._seats:
            return Reason.GANG
        eligible = filters.eligible(self._shape, self._nodes, self._snapshot.policy)
        moment = (Reason.NO_ROOM, Reason.RESERVED, Reason.APART)
        asked = {reason: mask for reason, mask in self._masks.items() if (reason in moment) == eligible.any()}
        where = eligible if eligible.any() else self._nodes.present()
        counts = {reason: int((mask & where).sum()) for reason, mask in asked.items()}
        return max(counts, key=lambda reason: counts[reason], default=Reason.NODE_NOT_READY)

    def _short_of(self) -> dict[str, int]:
        present = self._nodes.present()
        short = {
            axis: int((present & (self._room[number] < self._need[number])).sum())
            for number, axis in enumerate(self._nodes.axes)
            if self._need[number]
        }
        return {axis: count for axis, count in short.items() if count}

    def _find_ahead(self) -> list[tuple[Line, int]]:
        """How many jobs of each line go first by priority and age; crossed-out ones may be among them."""
        at, priority = self._job.queued_at, self._shape.priority
        found = []
        for line in self._snapshot.queue.standing.values():
            if line.shape.priority < priority:
                found.append((line, line.live))
            elif line.shape.priority == priority:
                found.append((line, min(line.live, bisect_left(line.at, at, line.head) - line.head)))
        return found

    def _rank(self) -> int:
        own = self._ledger.standing(self._shape.project_id)
        lines = self._snapshot.queue.standing.values()
        others = {line.shape.project_id for line in lines} - {self._shape.project_id}
        return sum(self._ledger.standing(project_id) < own for project_id in others)

    def _changes(self, row: int | None) -> tuple[Change, ...]:
        """What would have to change: on the node; and about the job itself, once it asks for no more than the node has."""
        on_node = self._node_changes(row)
        modest = remedy.applied(self._shape, on_node)
        about_job = obstacles(self._snapshot, self._job, modest, self._now)
        return tuple(change for _, change in about_job) + tuple(on_node)

    def _node_changes(self, row: int | None) -> list[Change]:
        shape = self._shape
        if self._seats >= shape.count or row is None:
            return []
        if self._seats:
            return [Change(Fix.ASK_FEWER, "", self._seats)]
        fewer = [Change(Fix.ASK_FEWER, "", 1)] if shape.count > 1 else []
        policy = self._snapshot.policy
        return remedy.changes(shape, self._nodes, policy, self._room, self._masks, row) + fewer

    def _band(self, main: Reason, last: Change | None) -> tuple[float | None, float | None]:
        """Between when and when the job will probably start."""
        if main is Reason.NEXT:
            return self._now, self._now
        if last is not None and last.fix is not Fix.WAIT_UNTIL:
            return None, None
        due = max(self._now, (last.to if last is not None else None) or self._now)
        earliest, latest = self._room_by(due)
        if self._own is not None:
            earliest = self._own.start
        return earliest, latest

    def _room_by(self, due: float) -> tuple[float | None, float | None]:
        """When there is room: by the expected ends, nothing else in the way; and once all that is ahead has been worked off."""
        if self._seats >= self._shape.count:
            first: float | None = due
        else:
            where = filters.eligible(self._shape, self._nodes, self._snapshot.policy)
            ends = self._timetable.ends(where)
            start = reservation.earliest(self._need, self._shape.count, where, self._ledger, ends)
            first = None if start is None else max(due, start.at)
        work = self._work_ahead()
        return first, None if first is None or work == inf else first + work

    def _work_ahead(self) -> float:
        """The seconds that the whole fleet needs for the jobs that go first."""
        ahead = [(line.shape, count) for line, count in self._ahead if count]
        shares: list[float] = self._ledger.shares([shape for shape, _ in ahead]).tolist()
        pairs = zip(ahead, shares, strict=True)
        return sum((count * share * self._expected(shape) for (shape, count), share in pairs if share > 0), 0.0)

    def _expected(self, shape: Shape) -> float:
        predictor = self._snapshot.predictor
        return predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires)


def _any(masks: dict[Reason, Mask], present: Mask) -> Mask:
    return np.asarray(np.logical_or.reduce([np.zeros_like(present), *masks.values()]))
