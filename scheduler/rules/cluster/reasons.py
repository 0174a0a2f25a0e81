"""The reasons for which a job waits: one vocabulary for the plan, the filters, explanations and metrics."""

from enum import StrEnum
from typing import Final

NO_NODES: Final = "no-nodes"
"""The reason of a job that waits because there is no node at all, so that no node can give a reason."""


class Reason(StrEnum):
    """Why a job waits.

    The first group is about the job itself, the second about nodes, the third about other jobs in the queue.
    """

    HELD = "held"
    NOT_BEFORE = "not before"
    SCHEDULER_PAUSED = "scheduler paused"
    PROJECT_PAUSED = "project paused"
    TYPE_PAUSED = "job type paused"
    TYPE_LIMIT = "job type limit"
    PROJECT_QUOTA = "project quota"
    DATA_SET = "another job changes the data set"

    NODE_NOT_READY = "node not ready"
    NODE_PAUSED = "node paused"
    NODE_DRAINING = "node draining"
    NODE_FAILING = "node fails to launch"
    POOL_PAUSED = "pool paused"
    OTHER_POOL = "other pool"
    OTHER_PROJECT = "other project"
    CONSTRAINT = "constraint"
    TOO_SMALL = "node too small"
    APART = "kept apart"
    NO_ROOM = "no room now"
    RESERVED = "kept for another job"
    GANG = "not room for all members at once"

    BEHIND = "behind others"
    NEXT = "next tick"
