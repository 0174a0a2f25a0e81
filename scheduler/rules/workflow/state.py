"""The state of a workflow, derived from where its jobs stand: nothing is counted up or down, so nothing can go wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WorkflowState(StrEnum):
    """PENDING before anything has started, RUNNING until all has ended; BLOCKED jobs count as ended, and as failures."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    COMPLETED = "COMPLETED"


FINAL_WORKFLOW = frozenset({WorkflowState.FAILED, WorkflowState.CANCELED, WorkflowState.COMPLETED})


@dataclass(frozen=True, slots=True)
class WorkflowCounts:
    """How many jobs of a workflow stand where, without those that a newer copy has taken the place of.

    `live` have not ended, or are CANCELED and their processes are not dead yet. `excused` FAILED or are BLOCKED, and
    that does not make the workflow fail.
    """

    total: int = 0
    live: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    blocked: int = 0
    canceled: int = 0
    skipped: int = 0
    excused: int = 0


def state_of(counts: WorkflowCounts, *, is_canceled: bool) -> WorkflowState:
    """Return the state of a workflow; `is_canceled` says that somebody cancelled the whole of it."""
    if counts.live:
        return WorkflowState.RUNNING if counts.started else WorkflowState.PENDING
    if counts.failed + counts.blocked > counts.excused:
        return WorkflowState.FAILED
    if is_canceled or counts.canceled:
        return WorkflowState.CANCELED
    return WorkflowState.COMPLETED


def will_fail(counts: WorkflowCounts) -> bool:
    """Tell whether a workflow that still runs cannot end well any more, unless somebody repairs it."""
    return counts.live > 0 and counts.failed + counts.blocked > counts.excused
