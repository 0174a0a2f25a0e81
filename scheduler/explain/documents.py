"""The documents that explain and dry run return, by the field names of the API; amounts in whole units, times in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class NodeDocument(TypedDict):
    """A node by id and name."""

    id: int
    name: str


class ReasonDocument(TypedDict):
    """A reason why a job waits; `nodes` is None for a reason that no node gives."""

    kind: str
    description: str
    nodes: int | None


class NearestDocument(TypedDict):
    """The node that comes closest, and what is missing there; `node` is None for a new node of a pool."""

    node: NodeDocument | None
    reasons: list[str]
    missing: dict[str, float]
    description: str


class NodeCountsDocument(TypedDict):
    """How many nodes there are, could take the job at once, and fail for each reason, resource and constraint."""

    total: int
    usable: int
    failing: dict[str, int]
    short_of: dict[str, int]
    unmet: dict[str, int]


class QueueDocument(TypedDict):
    """How many jobs go before it: of those that ask for the same (`position`), and of all (`ahead`)."""

    position: int | None
    ahead: int


class ShareDocument(TypedDict):
    """The part of the fleet that the job's project holds, and how many waiting projects go before it."""

    project: str
    share: float
    projects_ahead: int


class ReservationDocument(TypedDict):
    """The nodes that are reserved for the job, and from when on it may start there."""

    nodes: list[NodeDocument]
    start: datetime | None


class StartDocument(TypedDict):
    """Between when and when the job will probably start; None where that cannot be said."""

    earliest: datetime | None
    latest: datetime | None


class FixDocument(TypedDict):
    """One thing to change, and to what."""

    fix: str
    subject: str
    to: float | datetime | None
    description: str


class NeverFitsDocument(TypedDict):
    """Why no node and no pool could ever hold the job."""

    description: str
    failing: dict[str, int]
    nearest: NearestDocument | None


class FutureDocument(TypedDict):
    """Why a job waits, and until when; the parts are None and empty for one that does not wait."""

    reasons: list[ReasonDocument]
    nodes: NodeCountsDocument | None
    nearest: NearestDocument | None
    queue: QueueDocument | None
    share: ShareDocument | None
    reservation: ReservationDocument | None
    expected_start: StartDocument | None
    changes: list[FixDocument]
    never_fits: NeverFitsDocument | None


class ExecutionDocument(TypedDict):
    """An execution by id and status."""

    id: int
    status: str


class PlacementDocument(TypedDict):
    """The newest execution of a job: its node, the reason for that node, and its end if it has ended."""

    job_exe: ExecutionDocument
    attempt: int
    member: int
    node: NodeDocument
    why: str | None
    message: str | None
    preempted_for: int | None
    remark: str | None
    exit_code: int | None
    placed: datetime
    started: datetime | None
    ended: datetime | None


class MemberDocument(TypedDict):
    """One member of a gang, and where it was placed."""

    member: int
    job_exe: ExecutionDocument
    node: NodeDocument


class TriesDocument(TypedDict):
    """How often a job was tried, how many tries were forgiven, how many it has at most, and how often it was withdrawn."""

    done: int
    forgiven: int
    max: int
    withdrawn: int


class FailureDocument(TypedDict):
    """The named error that a job failed with."""

    error: str
    title: str | None
    description: str | None
    category: str | None
    should_be_retried: bool | None
    message: str | None


class ExplanationDocument(FutureDocument):
    """Why a job stands where it stands."""

    job_id: int
    status: str
    summary: str
    ahead: int | None
    tries: TriesDocument
    placement: PlacementDocument | None
    members: list[MemberDocument]
    failure: FailureDocument | None


class RefusalDocument(TypedDict):
    """The error that a submission would be answered with."""

    description: str
    field: str | None


class TrialDocument(FutureDocument):
    """The plan of the next tick for one job of a dry run."""

    entry: int
    would: str
    summary: str
    refusal: RefusalDocument | None
    node: NodeDocument | None
    nodes_of_members: list[NodeDocument]
    why: str | None
    stops: list[int]


class WarningDocument(TypedDict):
    """Submitted jobs that could never start as things are: the first of them, and how many are alike."""

    entry: int
    count: int
    kind: str
    description: str
    nearest: NearestDocument | None
