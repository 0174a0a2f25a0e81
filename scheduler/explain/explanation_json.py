"""The JSON of explain, dry run and warnings, declared once: the functions beside build it, and the API's document shows it.

A text in `Annotated` is the field's description in the document, a docstring that of the type. Amounts are in whole units,
times in UTC. The document leaves a `Mapping` open; `LastPlacement`, `ExecutionName` and `JobFailure` say what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from typing_extensions import TypedDict

from scheduler.explain.words import FixWord, ReasonWord, WarningWord, WouldWord


class ReasonView(TypedDict):
    """One reason why a job waits: a word to branch on, a sentence, and the number of nodes that it holds for."""

    kind: ReasonWord
    description: str
    nodes: Annotated[int | None, "null where it is not about nodes"]


class NodeName(TypedDict):
    """A node."""

    id: int
    name: str


class NearestView(TypedDict):
    """The node that comes closest, and what is missing there, in cpus, MiB and pieces."""

    node: Annotated[NodeName | None, "null: a new node of a pool"]
    reasons: list[ReasonWord]
    missing: dict[str, float]
    description: str


class NodeFailures(TypedDict):
    """How many nodes there are, could take the job at once, fail for each reason, and are short of each resource."""

    total: int
    usable: int
    failing: dict[ReasonWord, int]
    short_of: dict[str, int]
    unmet: Annotated[dict[str, int], "How many nodes fail each of the job's constraints."]


class PlaceInQueue(TypedDict):
    """The job's place in the queue: `position` among the jobs that ask for the same (null: it is not in the queue), and `ahead`, how many jobs of all kinds go before it by priority and age."""

    position: int | None
    ahead: int


class ShareView(TypedDict):
    """The part of the fleet that the job's project holds, and how many waiting projects go before it."""

    project: str
    share: float
    projects_ahead: int


class ReservationView(TypedDict):
    """The room that is kept for the job, and the time from which it has it."""

    nodes: list[NodeName]
    start: datetime | None


class StartView(TypedDict):
    """The earliest and the latest time at which the job will probably start; null where that cannot be said."""

    earliest: datetime | None
    latest: datetime | None


class ChangeView(TypedDict):
    """One thing to change: a word to branch on, what it is about, the new value (units, a time, a number), and a sentence."""

    fix: FixWord
    subject: str
    to: float | datetime | None
    description: str


class NeverView(TypedDict):
    """Why no node and no pool could ever hold the job."""

    description: str
    failing: dict[ReasonWord, int]
    nearest: NearestView | None


class WaitDocument(TypedDict):
    """Why a job waits, and until when; the parts are null and empty for one that does not wait."""

    reasons: Annotated[list[ReasonView], "all of them, the most telling first"]
    nodes: NodeFailures | None
    nearest: NearestView | None
    queue: PlaceInQueue | None
    share: ShareView | None
    reservation: ReservationView | None
    expected_start: StartView | None
    changes: Annotated[list[ChangeView], "made together they let it start; any one left out would not"]
    never_fits: NeverView | None


class ExecutionName(TypedDict):
    """An execution by id and status."""

    id: int
    status: str


class LastPlacement(TypedDict):
    """The newest execution of a job: its node, the reason for that node, and its end if it has ended."""

    job_exe: ExecutionName
    attempt: int
    member: int
    node: NodeName
    why: str | None
    message: str | None
    preempted_for: int | None
    remark: str | None
    exit_code: int | None
    placed: datetime
    started: datetime | None
    ended: datetime | None


class JobFailure(TypedDict):
    """The named error that a job failed with."""

    error: str
    title: str | None
    description: str | None
    category: str | None
    should_be_retried: bool | None
    message: str | None


class MemberView(TypedDict):
    """One member of a gang, and where it was placed."""

    member: int
    job_exe: Mapping[str, object]
    node: NodeName


class HelpView(TypedDict):
    """Something to do about a job that blocks others: a word to branch on, and a sentence."""

    verb: str
    description: str


class BlockingJob(TypedDict):
    """The job at the root of what blocks another, so many steps before it; how it stands, and what helps."""

    job: NodeName
    status: str
    error: str | None
    message: str | None
    steps: int
    helps: list[HelpView]


class BorrowedView(TypedDict):
    """A job of an earlier run whose result a job of a rerun has; of a step that was several, the last of them."""

    job: int
    step: str
    workflow: int
    status: str
    description: str


class JobExplanation(WaitDocument):
    """Why a job stands where it stands."""

    job_id: int
    status: str
    summary: str
    ahead: Annotated[int | None, "jobs that ask for the same and were queued before"]
    tries: dict[str, int]
    placement: Mapping[str, object] | None
    members: Annotated[list[MemberView], "of a gang's newest attempt; empty for a job of one"]
    failure: Mapping[str, object] | None
    blocked_by: Annotated[BlockingJob | None, "of a BLOCKED job: the one at the root of it"]
    borrowed: Annotated[list[BorrowedView], "of a job of a rerun: what it has of the run before"]
    reuse: Annotated[str | None, "whose results it has, or why none were reused; null where that is off"]


class NodeFitView(TypedDict):
    """One node: the reasons against it (none: it could take the job), and of what is asked for: what it has, what is free, what is missing."""

    node: NodeName
    fits: bool
    reasons: list[ReasonWord]
    total: dict[str, float]
    free: dict[str, float]
    missing: dict[str, float]


class RefusalView(TypedDict):
    """The problem that the submission itself would be answered with."""

    description: str
    field: str | None


class TriedView(WaitDocument):
    """The next tick's treatment of one job of a dry run: `start` it on a node, let it `wait`, or `make-room` for it.

    Or `refuse`: a strict submission of all of them would be refused.
    """

    entry: int
    would: WouldWord
    summary: str
    refusal: Annotated[RefusalView | None, "null where it would be taken"]
    node: Annotated[NodeName | None, "of a gang: the node of its member 0"]
    nodes_of_members: Annotated[list[NodeName], "the node of each member in turn; empty where it would wait"]
    why: str | None
    stops: Annotated[list[int], "jobs of which executions would be stopped to make room for it"]


class SubmitWarning(TypedDict):
    """Jobs that were taken and could never start as things are: the first of them in the request, and how many are alike."""

    entry: int
    count: int
    kind: WarningWord
    description: str
    nearest: NearestView | None
