"""What `place` is given and what it answers: the snapshot and the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

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
    """Room that one plan kept for a job of that shape, on these nodes, and that the next one goes on keeping.

    `promised` is the start (epoch seconds) that the job had in view when its room was first kept.
    """

    job_id: int
    shape_id: int
    node_ids: tuple[int, ...]
    promised: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The pictures one plan is made from. The caller keeps them up to date and may use them for many plans.

    `claims` are those of the plan before, in its order.
    """

    nodes: Nodes
    queue: Queue
    running: Running = field(default_factory=Running)
    policy: Policy = field(default_factory=Policy)
    predictor: Predictor = field(default_factory=Predictor)
    carried: tuple[CarriedReservation, ...] = ()


class Placement(NamedTuple):
    """*This job on that node.* A gang has one per member, numbered from 0, all in a row.

    `attempt` is the number the job's last placement carried: the commit must find it unchanged, and takes the next.
    `expected_s` is the predicted run time, for the picture of what runs; inf where nothing bounds it.
    """

    job_id: int
    attempt: int
    shape_id: int
    node_id: int
    why: str
    expected_s: float
    member: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why jobs of a shape were left waiting: the main reason, and how many nodes the filters refuse for what (by Reason)."""

    shape_id: int
    reason: Reason
    nodes: Mapping[str, int]


class Basis(Enum):
    """What comes free on nodes where room is kept, as far as it is counted on: what the job does not need of it is for others."""

    ENDS = auto()
    """All that ends there until its start."""
    PIECES = auto()
    """What is too small for a member of the job: what gives room for one goes to whoever stands first then."""
    NOTHING = auto()
    """None of it: all that comes free is for the job, and beside it run those that will have ended until its start."""
    CLOSED = auto()
    """None of it, and nothing new starts in the job's room meanwhile."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room kept for a job that cannot start yet: these nodes, one per member, from `start` (epoch seconds) on.

    `basis` says what others may use of these nodes meanwhile, for longer than until then.
    """

    job_id: int
    shape_id: int
    node_ids: tuple[int, ...]
    start: float
    resources: Resources
    basis: Basis = Basis.ENDS


@dataclass(frozen=True, slots=True)
class Preemption:
    """Executions on a node to be stopped gracefully so that a more urgent job can start, without charging them a try.

    It starts on this node, or on another where members of the same gangs are stopped: a gang is always stopped whole.
    Once told to stop they are marked `ActiveExecution.stopping`, so that the next plan does not ask for others.
    """

    job_id: int
    shape_id: int
    node_id: int
    execution_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one tick should do. Placements stand in the order they were decided.

    `refusals` has an entry for every shape of which a job was considered and left; shapes that were not reached
    because the limit of placements was, have Reason.BEHIND. `claims` are for the snapshot of the next plan.
    """

    placements: tuple[Placement, ...] = ()
    refusals: Mapping[int, Refusal] = field(default_factory=dict)
    reservations: tuple[Reservation, ...] = ()
    preemptions: tuple[Preemption, ...] = ()
    carried: tuple[CarriedReservation, ...] = ()


def shape_of(snapshot: Snapshot, job_id: int) -> Shape:
    """The shape of a waiting job; raises KeyError for one that does not wait."""
    return snapshot.queue.groups[snapshot.queue[job_id].shape_id].shape
