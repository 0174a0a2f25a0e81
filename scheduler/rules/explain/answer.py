"""The answer to "why is my job waiting?": the value that `explain` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.rules.cluster.reasons import Reason


class FixKind(StrEnum):
    """Kinds of changes that would help. A `Fix` says about what (`subject`) and the new value (`to`)."""

    RELEASE_HOLD = "release the hold"
    WAIT_UNTIL = "wait until"
    WAIT_FOR_JOB = "wait for the end of job"
    RESUME_SCHEDULER = "resume the scheduler"
    RESUME_PROJECT = "resume the project"
    RESUME_TYPE = "resume the job type"
    RAISE_TYPE_LIMIT = "raise the job type's limit to"
    RAISE_QUOTA = "raise the project's quota of"
    RESUME_POOL = "resume the pool"
    RESUME_NODE = "resume the node"
    STOP_DRAINING = "stop draining the node"
    BRING_BACK_NODE = "bring back the node"
    CLEAR_FAILURES = "clear the launch failures of the node"
    LEAVE_POOL = "do not ask for the pool"
    DROP_CONSTRAINT = "drop the constraint"
    DROP_APART = "do not keep apart by"
    ASK_LESS = "ask for less of"
    ASK_FEWER = "ask for fewer members"
    SHORTER_TIMEOUT = "set a shorter timeout"
    ADD_NODE = "add nodes"


@dataclass(frozen=True, slots=True)
class Fix:
    """One thing to change.

    `to` is in thousandths for resources, epoch seconds for times, seconds for timeouts, and a plain number for limits
    and nodes.
    """

    kind: FixKind
    subject: str = ""
    to: float | None = None


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something about the job itself that stops it: a hold, a pause, a limit.

    `detail` says by whom, until when, or how many.
    """

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NearestNode:
    """The node that comes closest: why it cannot take the job, and what is missing there (thousandths by resource)."""

    node_id: int
    name: str
    reasons: tuple[Reason, ...]
    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job waits.

    `main` is the reason to show first. `nodes` counts the nodes that fail for each reason (a node may fail for
    several), `short_of` those without enough of each resource now, `unmet` those that fail each constraint, and
    `usable` those on which a member could start at once.

    `ahead` is the number of waiting jobs that go first by priority and age, `position` the number of those with the
    same shape. `project_share` is the project's dominant share of the fleet now, `project_rank` how many waiting
    projects come before it. `reserved` has the nodes reserved for the job. The start is expected between `earliest`
    and `latest` (epoch seconds; None: unknown).

    All `fixes` together would let the job start; without any one of them it would not. Of `wanted` members, `fitting`
    could start at once.
    """

    job_id: int
    main: Reason
    blockers: tuple[Blocker, ...]
    nodes: Mapping[Reason, int]
    short_of: Mapping[str, int]
    usable: int
    nearest: NearestNode | None
    position: int | None
    ahead: int
    project_share: float
    project_rank: int
    reserved: tuple[int, ...]
    earliest: float | None
    latest: float | None
    fixes: tuple[Fix, ...]
    wanted: int = 1
    fitting: int = 0
    unmet: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoFittingNode:
    """Why no node and no pool could ever hold a job: how many nodes fail for each reason, and the closest one.

    Of a gang's `wanted` members, `fitting` would fit on all nodes together if these were empty. `growing`: nodes that
    pools may start are counted too.
    """

    nodes: Mapping[Reason, int]
    nearest: NearestNode | None
    wanted: int = 1
    fitting: int = 0
    growing: bool = False
