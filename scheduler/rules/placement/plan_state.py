"""The state of one plan: what is free and who holds how much, once the placements decided so far are counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster import fairshare
from scheduler.rules.cluster.nodes import Amounts, Mask, Rows
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.queue import QueueGroup
from scheduler.rules.cluster.resources import NOTHING, Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters, fragmentation
from scheduler.rules.placement.filters import LimitAllowance
from scheduler.rules.placement.fragmentation import Fragmentation


@dataclass(slots=True)
class PlannedUsage:
    """What a project holds and waits with ahead of room, running and planned. `share` is that of its room, and of its time ahead."""

    resources: Resources
    executions: int
    share: float
    room: Resources
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class EndTimes:
    """When a job that starts now, at `begin`, will have ended (epoch seconds).

    `expected` by its predicted run time, `cautious` by a guess that one run in four outlives, `proven` by the longest of many runs of its
    shape or by its limit, `limit` by its limit alone (inf: none).
    """

    begin: float
    expected: float
    cautious: float
    proven: float
    limit: float

    def guarded(self, strictness: float) -> float:
        """Return the end by a guess between the cautious one (strictness 0) and the limit (1), on a logarithmic scale.

        A job without a limit goes by the cautious guess below 1. Where the two are one it is exactly that, for a job that ends in the
        very second of a start is not in its way.
        """
        if strictness <= 0 or self.limit <= self.cautious or (self.limit == inf and strictness < 1):
            return self.cautious
        if strictness >= 1:
            return self.limit
        guess_s, limit_s = (max(end - self.begin, 1.0) for end in (self.cautious, self.limit))
        return float(self.begin + guess_s ** (1 - strictness) * limit_s**strictness)


@dataclass(frozen=True, slots=True)
class NodeReservation:
    """A reservation on one node: from `start` on, only `spare` of the node is for others.

    `strictness` (0 to 1) says how surely others must have ended before, to start there: by a cautious guess at 0, by their limit at 1.
    """

    row: int
    start: float
    spare: Amounts
    strictness: float = 0.0

    def reaches(self, ends: EndTimes) -> bool:
        """Whether a job that ends then may still run when the room is due."""
        return ends.guarded(self.strictness) > self.start


@dataclass(frozen=True, slots=True)
class Planned:
    """Placements of this plan: on which node rows, how many on each, what each needs, and when they will have ended."""

    rows: Rows
    counts: NDArray[np.int64]
    need: Amounts
    ends: EndTimes


class PlanState:
    """Copies of the few numbers that a plan changes; the snapshot stays as it is.

    `left` is the room left on each node over all resources, as a fraction of the largest node's. `waiting` are the
    queue groups that the plan may serve; it must be set before nodes are chosen. `reserved` has the reservation on
    each node row.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._policy, self._running = snapshot.policy, snapshot.running
        self.nodes = snapshot.nodes
        for request in snapshot.running.requests():
            # A node that has left may hold a resource that no other has: it needs an axis before arrays are copied.
            self.nodes.vector(request)
        self.free = snapshot.nodes.free()
        self.fleet = snapshot.nodes.total(snapshot.nodes.present())
        largest = self.nodes.capacity.max(axis=1, initial=0)
        self.scale: NDArray[np.float64] = np.where(largest > 0, 1.0 / np.maximum(largest, 1), 0.0)
        self.left: NDArray[np.float64] = self.scale @ self.free
        self.waiting: Sequence[QueueGroup] = ()
        self._fragmentation: Fragmentation | None = None
        self.planned: list[Planned] = []
        self.reserved: dict[int, NodeReservation] = {}
        self._usages: dict[int, PlannedUsage] = {}
        self._times_ahead: dict[int, float] | None = None
        self._charged: dict[int, Resources] = {}
        self._types: dict[int, int] = {}
        self._serial: set[int] = set()
        self._tracked: set[tuple[int, int]] = set()
        self._peers: dict[tuple[int, int], dict[int, int]] = {}

    def shares(self, shapes: list[Shape]) -> NDArray[np.float64]:
        """Return one job's dominant share of the fleet for each shape of a plan.

        Also records for which shapes the placements have to be counted by node (those with `apart` or `spread`).
        """
        tracked = (shape for shape in shapes if shape.apart is not None or shape.spread is not None)
        self._tracked = {(shape.project_id, shape.job_type_id) for shape in tracked}
        if not shapes:
            return np.zeros(0)
        needs = np.array([self.nodes.vector(shape.requires) for shape in shapes])
        fleet = np.maximum(self.nodes.vector(self.fleet), 1)
        return np.asarray((needs / fleet).max(axis=1) * np.array([shape.count for shape in shapes]))

    def fits(self, need: Amounts, where: Mask, ends: EndTimes) -> Mask:
        """Return the rows in `where` with room for a member that will have ended at `ends`."""
        fits = where & filters.holds(need, self.free)
        for reserved in self.reserved.values():
            if fits[reserved.row] and reserved.reaches(ends):
                fits[reserved.row] = filters.holds(need, reserved.spare[:, None])[0]
        return fits

    def room(self, rows: Rows, ends: EndTimes) -> Amounts:
        """Return what is free on some rows for members that will have ended at `ends`; the caller's own copy.

        On a node with a reservation from an earlier moment on, only what it leaves over counts.
        """
        room = self.free[:, rows]
        for reserved in self.reserved.values():
            if reserved.reaches(ends):
                there = rows == reserved.row
                if there.any():
                    room[:, there] = np.minimum(room[:, there], reserved.spare[:, None])
        return room

    def loss(self, need: Amounts, rows: Rows) -> NDArray[np.float64]:
        """Return how much room for the waiting jobs a member that takes `need` would use up on each of the rows."""
        if self._fragmentation is None:  # computed late: many plans never have a choice of nodes
            self._fragmentation = fragmentation.of_groups(self.waiting, self.nodes, self._policy, self.scale)
        return self._fragmentation.loss(need, self.free, rows)

    def add_placements(
        self, shape: Shape, rows: Rows, counts: NDArray[np.int64], ends: EndTimes, part: float | None = None
    ) -> None:
        """Count placements of a shape: `counts` members on the node `rows`.

        With `part` they wait ahead of room. Projects are then compared by that part of what they need: its time ahead.
        """
        need = self.nodes.vector(shape.requires)
        members = int(counts.sum())
        self.free[:, rows] -= need[:, None] * counts
        self.left[rows] -= float(self.scale @ need) * counts
        self._use_spare(need, rows, counts, ends)
        self.planned.append(Planned(rows, counts, need, ends))
        usage = self.usage(shape.project_id)
        usage.resources = usage.resources.add(shape.requires.times(members))
        usage.executions += members
        if part is None:
            usage.room = usage.room.add(shape.requires.times(members))
        else:
            usage.ahead += part * members * shape.requires.dominant_share(self.fleet)
        usage.share = fairshare.share_of(usage.room, self.fleet) + usage.ahead
        self._types[shape.job_type_id] = self.of_type(shape.job_type_id) + members
        if shape.serial is not None:
            self._serial.add(shape.serial)
        if (shape.project_id, shape.job_type_id) in self._tracked:
            peers = self._peers.setdefault((shape.project_id, shape.job_type_id), {})
            for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
                peers[row] = peers.get(row, 0) + count

    def usage(self, project_id: int) -> PlannedUsage:
        """Return what a project holds by now."""
        usage = self._usages.get(project_id)
        if usage is None:
            held = self._running.of_project(project_id)
            ahead = self._time_ahead(project_id)
            share = fairshare.share_of(held.room, self.fleet) + ahead
            usage = self._usages[project_id] = PlannedUsage(held.resources, held.executions, share, held.room, ahead)
        return usage

    def of_type(self, job_type_id: int) -> int:
        """Return how many executions of a type there are by now."""
        planned = self._types.get(job_type_id)
        return self._running.of_type(job_type_id) if planned is None else planned

    def peer_rows(self, shape: Shape) -> dict[int, int]:
        """Return how many executions of the shape's project and job type each node row has by now."""
        there = self._running.peer_nodes(shape.project_id, shape.job_type_id)
        rows = {row: count for node, count in there.items() if (row := self.nodes.row(node)) is not None}
        for row, count in self._peers.get((shape.project_id, shape.job_type_id), {}).items():
            rows[row] = rows.get(row, 0) + count
        return rows

    def charge_more(self, project_id: int, more: Resources) -> None:
        """Compare a project from now on as if it held so much more."""
        self._charged[project_id] = self._charged.get(project_id, NOTHING).add(more)

    def standing(self, project_id: int, more: Resources = NOTHING) -> float:
        """Return the number by which projects are compared, smaller first; as if the project also held `more`."""
        policy, usage = self._policy, self.usage(project_id)
        charged = self._charged.get(project_id, NOTHING).add(more)
        share = usage.share
        if charged != NOTHING:
            share = fairshare.share_of(usage.room.add(charged), self.fleet) + usage.ahead
        return fairshare.standing(share, policy.credits.get(project_id, 0.0), policy.weights.get(project_id, 1.0))

    def allowance(self, shape: Shape) -> LimitAllowance:
        """Return how many more jobs of the shape the limits let start."""
        usage = self.usage(shape.project_id)
        return filters.allowance(
            shape,
            self._policy,
            of_type=self.of_type(shape.job_type_id),
            cpus=usage.resources.cpus,
            mem=usage.resources.mem,
            jobs=usage.executions,
            is_serial_busy=self._is_busy(shape.serial),
        )

    def _is_busy(self, serial: int | None) -> bool:
        """Whether a job runs, or is planned, after which jobs with this number have their turn."""
        return serial is not None and (serial in self._serial or bool(self._running.of_serial(serial)))

    def _time_ahead(self, project_id: int) -> float:
        """Return the share of the fleet that the project's work ahead of room takes, over the time for which work may be ahead."""
        if self._times_ahead is None:
            self._times_ahead = {}
            for run in self._running.ahead():
                part = min(1.0, run.brief_s / self._policy.ahead_s) if self._policy.ahead_s else 1.0
                more = part * run.resources.dominant_share(self.fleet)
                self._times_ahead[run.project_id] = self._times_ahead.get(run.project_id, 0.0) + more
        return self._times_ahead.get(project_id, 0.0)

    def _use_spare(self, need: Amounts, rows: Rows, counts: NDArray[np.int64], ends: EndTimes) -> None:
        """Take from the spare room on nodes with a reservation what members use that run on beyond its start."""
        for reserved in self.reserved.values() if self.reserved else ():
            if reserved.reaches(ends):
                members = int(counts[rows == reserved.row].sum())
                if members:
                    reserved.spare[:] -= need * members
