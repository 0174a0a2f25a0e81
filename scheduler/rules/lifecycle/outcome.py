"""How a try ended, and why it was told to stop: the words that node, wire, store, stages and API share.

A try ends once. The node reports how (`Reported`) or the scheduler finds out: no node claimed the try, or its node fell
silent. From the outcome follow the move of the execution and the move of its job:

    outcome     execution     job
    completed   SUCCEED       COMPLETE
    failed      BREAK         RETRY or FAIL: the error and the number of tries decide
    canceled    STOP, DROP    none: somebody has cancelled the job itself
    returned    STOP          GIVE_BACK: the try is forgiven
    unstarted   TAKE_BACK     HAND_BACK: there was no try
    withdrawn   TAKE_BACK     WITHDRAW: there was no try
    lost        LOSE          RETRY or FAIL

The words also stand on the wire, in nodes' journals and in the database: they may be added to, but not changed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias, assert_never

from scheduler.rules.lifecycle.moves import ExecutionEvent


class Outcome(StrEnum):
    """How a try ended."""

    COMPLETED = "completed"
    """Its commands succeeded and its outputs are there."""
    FAILED = "failed"
    """A command failed or a step of the node did; an error by name says how."""
    CANCELED = "canceled"
    """It was stopped because nobody wants its job any more."""
    RETURNED = "returned"
    """It was stopped through no fault of its own: the node shuts down, or a more urgent job takes the room."""
    UNSTARTED = "unstarted"
    """Its node held it ahead of room, and gives it back without having started it."""
    WITHDRAWN = "withdrawn"
    """No node had claimed it."""
    LOST = "lost"
    """Its node fell silent for the whole lease."""


class StopReason(StrEnum):
    """Why a running execution is told to stop."""

    CANCELED = "canceled"
    """Somebody cancelled the job."""
    PREEMPTED = "preempted"
    """The room is needed: by a more urgent job, or because the node has to leave."""
    GANG = "gang"
    """Another member of its gang has ended."""
    RECALLED = "recalled"
    """It waits ahead of room and is wanted back; if it has been started meanwhile, it goes on."""


Reported: TypeAlias = Literal[Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELED, Outcome.RETURNED, Outcome.UNSTARTED]
"""The outcomes that a node reports."""

Stopped: TypeAlias = Literal[Outcome.CANCELED, Outcome.RETURNED]
"""The outcomes of tries that were stopped."""

ReasonForNode: TypeAlias = Literal[StopReason.CANCELED, StopReason.PREEMPTED, StopReason.RECALLED]
"""The reasons that a node is told: whether the work is unwanted, given back, or given back only if it has not begun."""


def move_of(outcome: Reported) -> ExecutionEvent:
    """Return which event a reported outcome is for the execution."""
    match outcome:
        case Outcome.COMPLETED:
            return ExecutionEvent.SUCCEED
        case Outcome.FAILED:
            return ExecutionEvent.BREAK
        case Outcome.CANCELED | Outcome.RETURNED:
            return ExecutionEvent.STOP
        case Outcome.UNSTARTED:
            return ExecutionEvent.TAKE_BACK
        case _:
            assert_never(outcome)


def reason_for_node(reason: StopReason) -> ReasonForNode:
    """Return what a node is told of this reason."""
    match reason:
        case StopReason.CANCELED:
            return StopReason.CANCELED
        case StopReason.PREEMPTED | StopReason.GANG:
            return StopReason.PREEMPTED
        case StopReason.RECALLED:
            return StopReason.RECALLED
        case _:
            assert_never(reason)


def of_stop(reason: StopReason) -> Stopped:
    """Return how a try ends that was stopped for this reason."""
    match reason:
        case StopReason.CANCELED:
            return Outcome.CANCELED
        case StopReason.PREEMPTED | StopReason.GANG | StopReason.RECALLED:
            return Outcome.RETURNED
        case _:
            assert_never(reason)
