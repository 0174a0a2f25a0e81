"""The states of nodes and of bulk operations; those of jobs and executions stand with their table of moves."""

from __future__ import annotations

from enum import StrEnum


class NodeState(StrEnum):
    """READY while the node is known; LOST after it was silent for its whole lease; GONE once it has left for good."""

    READY = "READY"
    LOST = "LOST"
    GONE = "GONE"


class OperationStatus(StrEnum):
    """RUNNING while jobs are left to walk; COMPLETED after the last; FAILED where a chunk met an error."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
