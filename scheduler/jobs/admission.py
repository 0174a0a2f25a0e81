"""The admission check: tells at every submission whether a job could ever be placed on the nodes that exist or could exist.

Silent and lost nodes count, because they may come back. Nodes that pools may start count too, up to the size of each pool.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from scheduler.errors import GangerError
from scheduler.identifiers import NodeId
from scheduler.jobs.entry_faults import EntryError, EntryFaults
from scheduler.jobs.resolve import PreparedSubmission
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.policy import beyond_quota, never_allowed
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import PLAIN, Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import explain, wording
from scheduler.rules.explain.answer import NoFittingNode
from scheduler.rules.placement.capacity import PoolGrowth
from scheduler.runtime import Runtime
from scheduler.store.jobs.shapes import NewShape
from scheduler.store.jobs.submissions import Project
from scheduler.store.leader import cluster_state as store
from scheduler.store.leader.conversion import NEW_SHAPE, node_of, shape_of

_KEPT_S = 2.0


class AdmissionCheck:
    """May be asked from any thread; a process needs only one. It knows the nodes of at most two seconds ago."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._asking = threading.Lock()
        self._read_at: float | None = None
        self._nodes, self._growth = Nodes(), list[PoolGrowth]()
        self._fit: set[Shape] = set()

    def never_fits(self, shape: Shape, *, sure: bool = True) -> NoFittingNode | None:
        """Return why a job of this shape could never be placed; None if it could, on present nodes or on nodes that pools may start.

        With `sure` the nodes are read again before the answer is that it could not.
        """
        shape = _demand(shape)
        with self._asking:
            now = self._monotonic()
            if self._read_at is None or now - self._read_at > _KEPT_S:
                self._read(now)
            if shape in self._fit:
                return None
            found = explain.could_ever_fit(shape, self._nodes, self._growth)
            if sure and found is not None and self._read_at != now:
                self._read(now)
                found = explain.could_ever_fit(shape, self._nodes, self._growth)
            if found is None:
                self._fit.add(shape)
            return found

    def _read(self, now: float) -> None:
        with self._rt.db.begin() as tx:
            self._nodes = Nodes([node_of(row) for row in store.lasting_nodes(tx)])
            self._growth = [
                PoolGrowth(
                    Node(NodeId(row.id), Resources.from_amounts(row.template), "", row.name, row.labels), row.most
                )
                for row in store.templates(tx)
            ]
        self._read_at = now
        self._fit.clear()


def _demand(shape: Shape) -> Shape:
    """Return the part of a shape that matters here: equal requests of all projects and priorities are judged once."""
    apart = shape.apart if shape.count > 1 else None
    return Shape(NEW_SHAPE, shape.requires, shape.constraints, shape.pool, count=shape.count, apart=apart)


@dataclass(frozen=True, slots=True)
class UnplaceableJobs:
    """Equal jobs that could never start as things are: the number of the first one in the request, and how many they are.

    `fields` are what they ask too much of, by the fields of a submission. `why` says that no node could hold them, present or started by a pool; or it is a sentence about their project's quota.
    """

    first: int
    count: int
    pool: str | None
    why: NoFittingNode | str
    fields: tuple[str, ...] = ()


def refuse_unplaceable(prepared: PreparedSubmission, admission: AdmissionCheck, project: Project) -> None:
    """Raise EntryError if any of these jobs could never be placed, for a submission that is strict."""
    faults = EntryFaults()
    for one in unplaceable(prepared, admission, project, strict=True):
        _note(one, faults)
    faults.raise_all()


def _note(found: UnplaceableJobs, faults: EntryFaults) -> None:
    for field_name in found.fields or (None,):
        faults.of(found.first).note(sentence(found), field=field_name)


def sentence(found: UnplaceableJobs) -> str:
    """Return the sentence that says why jobs could never start."""
    return found.why if isinstance(found.why, str) else wording.never_fits(found.why, found.pool)


def unplaceable(
    prepared: PreparedSubmission, admission: AdmissionCheck, project: Project, *, strict: bool = False
) -> Iterator[UnplaceableJobs]:
    """Yield the groups of jobs that could never be placed. Where there are no nodes at all, that says nothing unless `strict`."""
    counts = Counter(row.group for row in prepared.rows)
    for group, (number, shape) in enumerate(prepared.shapes.items()):
        for why, fields in _whys(shape, admission, project, strict=strict):
            yield UnplaceableJobs(number, counts[group], shape.pool, why, fields)


def _whys(
    shape: NewShape, admission: AdmissionCheck, project: Project, *, strict: bool
) -> Iterator[tuple[NoFittingNode | str, tuple[str, ...]]]:
    asked = shape_of(shape, NEW_SHAPE)
    forbidden = never_allowed(asked, project.quota, project.name)
    if forbidden is not None:
        yield forbidden, tuple(map(_field, beyond_quota(asked, project.quota)))
    found = admission.never_fits(asked)
    if found is not None and (found.nearest is not None or strict):
        yield found, _fields(found)


_FIELDS = {"cpus": "cpus_required", "mem": "mem_required", "disk": "disk_out_required", "jobs": "count"}
_FIELDS_OF_REASONS = {Reason.OTHER_POOL: "pool", Reason.CONSTRAINT: "constraints", Reason.APART: "apart"}


def _field(resource: str) -> str:
    return _FIELDS[resource] if resource in {*PLAIN, "jobs"} else f"resources.{resource}"


def _fields(found: NoFittingNode) -> tuple[str, ...]:
    """Return the fields of a submission that keep a job off the node that comes closest."""
    if found.fitting:
        return ("count",)
    if found.nearest is None:
        return ("pool",)
    amounts = [_field(name) for name in found.nearest.missing] if Reason.TOO_SMALL in found.nearest.reasons else []
    others = [name for reason, name in _FIELDS_OF_REASONS.items() if reason in found.nearest.reasons]
    return (*amounts, *others)


def refusal(
    admission: AdmissionCheck, project: Project, shapes: Sequence[NewShape], *, many: bool
) -> GangerError | None:
    """Return the error with which a strict submission of jobs of these shapes would be refused; None if it would not be."""
    faults = EntryFaults()
    for number, shape in enumerate(shapes):
        for why, fields in _whys(shape, admission, project, strict=True):
            _note(UnplaceableJobs(number, 1, shape.pool, why, fields), faults)
    try:
        faults.raise_all()
    except EntryError as error:
        return error.named(range(len(shapes)) if many else None)
    return None
