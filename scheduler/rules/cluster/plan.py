"""The input and the output of `place`: the snapshot and the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from scheduler.identifiers import Attempt, ExecutionId, JobId, NodeId, ShapeId
from scheduler.rules.cluster.nodes import Nodes
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import Running
from scheduler.rules.cluster.shapes import Shape


@dataclass(frozen=True, slots=True)
class CarriedReservation:
    """A reservation that the last plan made for a job of that shape, on these nodes, and that the next plan carries on.

    `promised` is the start (epoch seconds) that was promised when the reservation was first made: by then everything in
    its way has ended, even if it takes as long as its time limit allows (as predicted, where it has no limit). `due` is
    the start that was expected at that time, by how long such runs have proved to take; it is never after `promised`.
    """

    job_id: JobId
    shape_id: ShapeId
    node_ids: tuple[NodeId, ...]
    promised: float
    due: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the cluster that a plan is made from. The caller keeps it up to date and may use it for many plans.

    `carried` are the reservations that the last plan carried over, in its order.
    """

    nodes: Nodes
    queue: Queue
    running: Running = field(default_factory=Running)
    policy: Policy = field(default_factory=Policy)
    predictor: Predictor = field(default_factory=Predictor)
    carried: tuple[CarriedReservation, ...] = ()


class Placement(NamedTuple):
    """*This job on that node.* A gang has one placement for each member, numbered from 0, in a row.

    `attempt` is the number that the job's last placement carried: the commit must find it unchanged, and uses the
    next. `expected_s` is the predicted run time, inf where nothing bounds it. `ahead`: beyond the room of the node, which
    starts it when room frees.
    """

    job_id: JobId
    attempt: Attempt
    shape_id: ShapeId
    node_id: NodeId
    why: str
    expected_s: float
    member: int = 0
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why jobs of a shape stay in the queue: the main reason, and how many nodes each filter refuses.

    `nodes` is keyed by Reason.
    """

    shape_id: ShapeId
    reason: Reason
    nodes: Mapping[str, int]


class ReservationBasis(Enum):
    """Which of the coming ends on its nodes a reservation counts on. The room that it does not need is for others."""

    ENDS = auto()
    """All that ends there before its start."""
    PIECES = auto()
    """Ends that free too little for one member of the job.

    Larger ones are not waited for: they go to whoever is first in the queue when they come.
    """
    NOTHING = auto()
    """None. All that comes free is for the job, and only jobs that end before its start run beside it."""
    CLOSED = auto()
    """None, and nothing new starts in the job's room meanwhile."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room for a job that cannot start yet: these nodes, one for each member, from `start` (epoch seconds) on.

    `basis` says which part of these nodes others may use beyond the start. `strictness` grows from 0 to 1 while
    the job waits for its promised start: others may start there if they end before by a cautious guess at first, and by their
    own time limit in the end.
    """

    job_id: JobId
    shape_id: ShapeId
    node_ids: tuple[NodeId, ...]
    start: float
    resources: Resources
    basis: ReservationBasis = ReservationBasis.ENDS
    strictness: float = 0.0


@dataclass(frozen=True, slots=True)
class Preemption:
    """Executions on a node that are to be stopped gracefully so that a more urgent job can start.

    The stopped try is not charged to its job. The urgent job starts on this node, or on another where members of the
    same gangs are stopped, for a gang is always stopped whole. Once told to stop, executions are marked
    `ActiveExecution.stopping`, so that the next plan stops no others in their place.
    """

    job_id: JobId
    shape_id: ShapeId
    node_id: NodeId
    execution_ids: tuple[ExecutionId, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one tick should do. Placements are in the order in which they were decided.

    `refusals` has an entry for every shape of which a job was considered and left. A shape that was not reached,
    because the limit of placements was, has Reason.BEHIND. `recalls` wait ahead of room and are to be taken back. `carried` goes into the snapshot of the next plan.
    """

    placements: tuple[Placement, ...] = ()
    refusals: Mapping[int, Refusal] = field(default_factory=dict)
    reservations: tuple[Reservation, ...] = ()
    preemptions: tuple[Preemption, ...] = ()
    carried: tuple[CarriedReservation, ...] = ()
    recalls: tuple[ExecutionId, ...] = ()


def shape_of(snapshot: Snapshot, job_id: int) -> Shape:
    """Return the shape of a waiting job; raises KeyError for a job that does not wait."""
    return snapshot.queue.groups[snapshot.queue[job_id].shape_id].shape
