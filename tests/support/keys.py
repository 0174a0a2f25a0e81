"""Keys of executions, as nodes name them: an execution's number with the attempt's."""

from scheduler.identifiers import Attempt, ExecutionId
from workers.paths import ExecutionKey


def a_key(execution_id: int = 1, attempt: int = 1) -> ExecutionKey:
    """The key of an execution, by its numbers."""
    return ExecutionId(execution_id), Attempt(attempt)


FIRST = a_key(1, 1)
"""The only execution of a test that needs one."""
