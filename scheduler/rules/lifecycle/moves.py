"""The one table of moves: which event takes a job or an execution from which states to which state.

The Python check, the guard in SQL (`store.jobs.jobs.move`), the CHECK constraints, the drawing in the documentation
and the exhaustive test come from this table. One event has exactly one target and is fired in exactly one place, so a
search for `JobEvent.FAIL` finds where a job becomes FAILED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class JobStatus(StrEnum):
    """The states of a job, in the order of its life."""

    PENDING_UPLOAD = "PENDING_UPLOAD"
    PENDING = "PENDING"
    BLOCKED = "BLOCKED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class ExecutionStatus(StrEnum):
    """The states of one try.

    It is QUEUED on its node until the node claims it, and RUNNING until its process tree is empty. One that was placed
    ahead of room is AHEAD in between: the node holds it, and starts it by itself.
    """

    QUEUED = "QUEUED"
    AHEAD = "AHEAD"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    WITHDRAWN = "WITHDRAWN"
    LOST = "LOST"


class JobEvent(StrEnum):
    """The events of a job."""

    RECEIVE = "RECEIVE"
    REFUSE = "REFUSE"
    READY = "READY"
    PLACE = "PLACE"
    WITHDRAW = "WITHDRAW"
    GIVE_BACK = "GIVE_BACK"
    HAND_BACK = "HAND_BACK"
    RETRY = "RETRY"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    CANCEL = "CANCEL"
    REQUEUE = "REQUEUE"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    SKIP = "SKIP"
    MISS = "MISS"
    RENEW = "RENEW"
    FORCE = "FORCE"
    AWAIT = "AWAIT"
    REUSE = "REUSE"
    EXPIRE = "EXPIRE"


class ExecutionEvent(StrEnum):
    """The events of an execution."""

    CLAIM = "CLAIM"
    HAND_OUT = "HAND_OUT"
    START = "START"
    SUCCEED = "SUCCEED"
    BREAK = "BREAK"
    STOP = "STOP"
    DROP = "DROP"
    TAKE_BACK = "TAKE_BACK"
    LOSE = "LOSE"


S = TypeVar("S", JobStatus, ExecutionStatus)


@dataclass(frozen=True, slots=True)
class Move(Generic[S]):
    """A move from any of `sources` to `target`; `why` is one line for the documentation."""

    sources: frozenset[S]
    target: S
    why: str


_J, _X = JobStatus, ExecutionStatus

JOB_MOVES: dict[JobEvent, Move[JobStatus]] = {
    JobEvent.READY: Move(frozenset({_J.PENDING}), _J.QUEUED, "its needs are satisfied and its time has come"),
    JobEvent.RECEIVE: Move(
        frozenset({_J.PENDING_UPLOAD}), _J.PENDING, "what it awaits was uploaded and is as it was asked for"
    ),
    JobEvent.REFUSE: Move(
        frozenset({_J.PENDING_UPLOAD}),
        _J.FAILED,
        "what it awaits is missing, is not as it was asked for, or never came",
    ),
    JobEvent.PLACE: Move(frozenset({_J.QUEUED}), _J.RUNNING, "the scheduler gave it to a node; attempt + 1"),
    JobEvent.WITHDRAW: Move(frozenset({_J.RUNNING}), _J.QUEUED, "the node never claimed it; not a try"),
    JobEvent.GIVE_BACK: Move(
        frozenset({_J.RUNNING}), _J.QUEUED, "stopped through no fault of its own; the try is forgiven"
    ),
    JobEvent.HAND_BACK: Move(
        frozenset({_J.RUNNING}), _J.QUEUED, "it was ahead of room on its node and never started; not a try"
    ),
    JobEvent.RETRY: Move(frozenset({_J.RUNNING}), _J.QUEUED, "the try failed and another is allowed"),
    JobEvent.COMPLETE: Move(frozenset({_J.RUNNING}), _J.COMPLETED, "the program ended well and its outputs are there"),
    JobEvent.FAIL: Move(
        frozenset({_J.RUNNING}), _J.FAILED, "the last allowed try failed, or its error forbids another"
    ),
    JobEvent.CANCEL: Move(
        frozenset({_J.PENDING_UPLOAD, _J.PENDING, _J.BLOCKED, _J.QUEUED, _J.RUNNING, _J.FAILED}),
        _J.CANCELED,
        "somebody does not want it any more",
    ),
    JobEvent.REQUEUE: Move(frozenset({_J.FAILED, _J.CANCELED}), _J.QUEUED, "an operator starts a new round"),
    JobEvent.BLOCK: Move(frozenset({_J.PENDING}), _J.BLOCKED, "something it needs has ended badly"),
    JobEvent.UNBLOCK: Move(frozenset({_J.BLOCKED}), _J.PENDING, "nothing that it needs is broken any more"),
    JobEvent.SKIP: Move(frozenset({_J.PENDING, _J.BLOCKED}), _J.CANCELED, "it is not needed"),
    JobEvent.MISS: Move(frozenset({_J.PENDING}), _J.FAILED, "an input that it takes of others is not there"),
    JobEvent.RENEW: Move(
        frozenset({_J.FAILED, _J.CANCELED}),
        _J.PENDING,
        "a new round of a job whose needs are not satisfied, or not yet judged",
    ),
    JobEvent.FORCE: Move(frozenset({_J.FAILED, _J.BLOCKED}), _J.COMPLETED, "an operator says that it is done"),
    JobEvent.AWAIT: Move(
        frozenset({_J.FAILED, _J.CANCELED}), _J.PENDING_UPLOAD, "a new round of a job that never got what it awaits"
    ),
    JobEvent.REUSE: Move(frozenset({_J.PENDING}), _J.COMPLETED, "another job has done the same; its results are taken"),
    JobEvent.EXPIRE: Move(frozenset({_J.PENDING}), _J.FAILED, "it has waited for its needs for as long as it bears"),
}

EXECUTION_MOVES: dict[ExecutionEvent, Move[ExecutionStatus]] = {
    ExecutionEvent.CLAIM: Move(frozenset({_X.QUEUED}), _X.RUNNING, "the node took it; from here it is a try"),
    ExecutionEvent.HAND_OUT: Move(
        frozenset({_X.QUEUED}), _X.AHEAD, "the node took it ahead of room, and will start it by itself; not a try yet"
    ),
    ExecutionEvent.START: Move(
        frozenset({_X.AHEAD}), _X.RUNNING, "the node had room and has started it; from here it is a try"
    ),
    ExecutionEvent.SUCCEED: Move(
        frozenset({_X.RUNNING, _X.AHEAD}),
        _X.COMPLETED,
        "reported: ended well, tree empty; perhaps start and end at once",
    ),
    ExecutionEvent.BREAK: Move(frozenset({_X.RUNNING, _X.AHEAD}), _X.FAILED, "reported: failed, tree empty; likewise"),
    ExecutionEvent.STOP: Move(
        frozenset({_X.RUNNING, _X.AHEAD}), _X.CANCELED, "reported: stopped as it was told, tree empty; likewise"
    ),
    ExecutionEvent.DROP: Move(frozenset({_X.QUEUED}), _X.CANCELED, "its job was cancelled before the claim"),
    ExecutionEvent.TAKE_BACK: Move(
        frozenset({_X.QUEUED, _X.AHEAD}),
        _X.WITHDRAWN,
        "not claimed in time, or its node is gone; or its node says that it never started it",
    ),
    ExecutionEvent.LOSE: Move(
        frozenset({_X.RUNNING, _X.AHEAD}),
        _X.LOST,
        "its node was silent for the whole lease; nobody can say that it was not started",
    ),
}

FINAL_JOB: frozenset[JobStatus] = frozenset({_J.COMPLETED, _J.FAILED, _J.CANCELED})
"""States that a job leaves only for a new round, or from FAILED to CANCELED."""

NEW_ROUND: frozenset[JobEvent] = frozenset({JobEvent.REQUEUE, JobEvent.RENEW, JobEvent.AWAIT, JobEvent.FORCE})
"""The events that begin a new round of a job that has ended."""

TOLD: frozenset[JobEvent] = frozenset(
    {*NEW_ROUND, JobEvent.COMPLETE, JobEvent.FAIL, JobEvent.REFUSE, JobEvent.CANCEL}
    | {JobEvent.BLOCK, JobEvent.UNBLOCK, JobEvent.SKIP, JobEvent.MISS, JobEvent.REUSE, JobEvent.EXPIRE}
)
"""The events after which those that need the job are judged anew."""

LIVE_EXECUTION: frozenset[ExecutionStatus] = frozenset({_X.QUEUED, _X.AHEAD, _X.RUNNING})
"""States in which an execution is its node's. It holds room there, unless it was placed ahead and has not started."""


def allows(event: JobEvent, status: JobStatus) -> bool:
    """Return whether this event may happen to a job in this status."""
    return status in JOB_MOVES[event].sources


def drawing() -> str:
    """Return both tables as Mermaid state diagrams, for docs/lifecycle.md; a test keeps that page current."""
    return "\n".join(["```mermaid", *_diagram(JOB_MOVES), "```", "", "```mermaid", *_diagram(EXECUTION_MOVES), "```"])


def _diagram(
    moves: Mapping[JobEvent, Move[JobStatus]] | Mapping[ExecutionEvent, Move[ExecutionStatus]],
) -> list[str]:
    lines = ["stateDiagram-v2"]
    for event, move in moves.items():
        lines += [f"    {source} --> {move.target}: {event}" for source in sorted(move.sources)]
    return lines
