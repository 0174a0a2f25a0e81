"""Messages about tries that were stopped for a more urgent job: to their owners, and about the job that waits."""

from collections.abc import Mapping, Sequence

from scheduler.identifiers import JobId

_NAMED = 5


def give_back_reason(urgent: int | None) -> str:
    """Return why a try was given back: for that job, or because an operator drained its node (None)."""
    return "its node is drained" if urgent is None else f"preempted: room was made for job {urgent}"


def was_stopped(urgent: int) -> str:
    """Return what became of a try."""
    return f"its last try was stopped to make room for the more urgent job {urgent}; that try is not charged"


def being_stopped(urgent: int, node: str) -> str:
    """Return what is happening to a try."""
    return f"It is being stopped on node {node} to make room for the more urgent job {urgent}, and will wait again, uncharged."


def waits_for_clearing(victims: Mapping[JobId, int]) -> str:
    """Return what a job waits for, by how many executions of which jobs are being stopped for it."""
    return f"room is being cleared for it by stopping {_executions(sum(victims.values()))} of {_jobs(list(victims))}"


def would_stop(victims: Mapping[JobId, int]) -> str:
    """Return what would be stopped for a trial job."""
    count = sum(victims.values())
    return f"{_executions(count)} of the less urgent {_jobs(list(victims))} would be stopped for it."


def _executions(count: int) -> str:
    return f"{count} execution{'' if count == 1 else 's'}"


def _jobs(ids: Sequence[int]) -> str:
    named = ", ".join(str(one) for one in sorted(ids)[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{'job' if len(ids) == 1 else 'jobs'} {named}{more}"
