"""What-if: a plan that is carried out in memory only, for as long as a question about it is answered."""

from collections.abc import Callable, Sequence

from scheduler.identifiers import ExecutionId
from scheduler.rules.cluster.plan import Placement, Snapshot, shape_of
from scheduler.rules.cluster.running import ActiveExecution

_FIRST_RUN = 2**62
"""The id of the first trial execution: later than all others."""


def carry_out(snapshot: Snapshot, placements: Sequence[Placement], now: float) -> Callable[[], None]:
    """Let waiting jobs run where a plan places them; return a function that makes nodes and executions as before.

    The jobs leave the queue and stay out of it, so they must be trial jobs.
    """
    shapes = {job_id: shape_of(snapshot, job_id) for job_id in {placement.job_id for placement in placements}}
    for execution_id, placement in enumerate(placements, _FIRST_RUN):
        shape = shapes[placement.job_id]
        snapshot.nodes.allocate(placement.node_id, shape.requires)
        snapshot.running.add(
            ActiveExecution(
                ExecutionId(execution_id),
                placement.node_id,
                shape.requires,
                now,
                expected_s=placement.expected_s,
                timeout_s=shape.timeout_s,
                job_id=placement.job_id,
                job_type_id=shape.job_type_id,
                project_id=shape.project_id,
                priority=shape.priority,
                preemptible=shape.preemptible,
                serial=shape.serial,
                longest_s=snapshot.predictor.longest_s(
                    shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires
                ),
            )
        )
    for job_id in shapes:
        snapshot.queue.discard(job_id)

    def undo() -> None:
        for execution_id, placement in reversed(
            list(enumerate(placements, _FIRST_RUN))
        ):  # backwards, so that rows are as before
            snapshot.running.discard(execution_id)
            snapshot.nodes.release(placement.node_id, shapes[placement.job_id].requires)

    return undo
