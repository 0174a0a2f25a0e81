"""Traces: jobs with their true times, from the Standard Workload Format or from this installation's history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from scheduler.rules.cluster.resources import Resources

_FIELDS = 18
_SUBMIT, _RUN, _USED, _WANTED, _LIMIT, _USER, _PROGRAM = 1, 3, 4, 7, 8, 11, 13


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job of a trace. `run_s` is its true run time, which a scheduler learns only at the end.

    `timeout_s` is its time limit at submission. `kind` stands for the job type: jobs of one kind are expected to be alike.
    A gang has `count` members, each with the amounts of `requires`.
    """

    id: int
    submitted: float
    run_s: float
    requires: Resources
    timeout_s: float | None
    kind: tuple[int, ...] = ()
    project_id: int = 0
    priority: int = 100
    count: int = 1
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class SwfRecord:
    """One line of a workload log; times are seconds."""

    number: int
    submitted: int
    run_s: int
    processors: int
    limit_s: int
    user: int
    program: int


@dataclass(frozen=True, slots=True)
class SkippedJobs:
    """Counts of jobs that are not replayed: they did not run, they name no processors, or they are too wide for the machine."""

    never_ran: int = 0
    no_processors: int = 0
    too_wide: int = 0


def machine_size(lines: Iterable[str]) -> int | None:
    """Return the processors that the header of a workload log names (MaxProcs, else MaxNodes); None if it names neither."""
    named: dict[str, int] = {}
    for line in lines:
        if not line.startswith(";"):
            break
        name, _, value = line.lstrip("; ").partition(":")
        if value.strip().isdecimal():
            named[name.strip()] = int(value)
    return named.get("MaxProcs", named.get("MaxNodes"))


def read_swf(lines: Iterable[str], processors: int) -> list[SwfRecord]:
    """Return the jobs of a workload log that a machine of so many processors can run, by submission time and number.

    A run is cut at its limit; a job without a limit has its run time as limit. Jobs without run time or processors, and
    jobs that are wider than the machine, are left out. Raises ValueError for a line that is not of the format.
    """
    return runnable(read_log(lines), processors)[0]


def read_log(lines: Iterable[str]) -> list[SwfRecord]:
    """Return all jobs of a workload log, in its order. Raises ValueError that names the first line which is not of the format."""
    return [
        _record(number, line.split())
        for number, line in enumerate(lines, 1)
        if not line.startswith(";") and line.strip()
    ]


def runnable(records: Sequence[SwfRecord], processors: int) -> tuple[list[SwfRecord], SkippedJobs]:
    """Return the jobs that such a machine can run, by submission time and number, and counts of the others."""
    ran = [record for record in records if record.run_s > 0]
    said = [record for record in ran if record.processors > 0]
    kept = [record for record in said if record.processors <= processors]
    left = SkippedJobs(len(records) - len(ran), len(ran) - len(said), len(said) - len(kept))
    return sorted(kept, key=lambda record: (record.submitted, record.number)), left


def jobs_of(records: Iterable[SwfRecord], *, widest: int | None = None) -> list[TraceJob]:
    """Return jobs that ask for one cpu for each processor; jobs wider than `widest` cpus become gangs of equal members.

    User and program together are the kind.
    """
    return [_job(record, widest or record.processors) for record in records]


def _job(record: SwfRecord, widest: int) -> TraceJob:
    count = -(-record.processors // widest)
    return TraceJob(
        record.number,
        float(record.submitted),
        float(record.run_s),
        Resources.of(cpus=-(-record.processors // count)),
        float(record.limit_s),
        kind=(record.user, record.program),
        count=count,
    )


def _record(line: int, fields: list[str]) -> SwfRecord:
    if len(fields) < _FIELDS:
        raise ValueError(f"line {line} has {len(fields)} fields, the Standard Workload Format has {_FIELDS}")
    values = [_whole(line, column, field) for column, field in enumerate(fields[:_FIELDS], 1)]
    run_s, processors = values[_RUN], values[_USED] if values[_USED] > 0 else values[_WANTED]
    limit_s = values[_LIMIT] if values[_LIMIT] > 0 else run_s
    return SwfRecord(
        values[0], values[_SUBMIT], min(run_s, limit_s), processors, limit_s, values[_USER], values[_PROGRAM]
    )


def _whole(line: int, column: int, field: str) -> int:
    try:
        number = float(field)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise ValueError(f"line {line}: field {column} is {field[:40]!r}, which is no number")
    return int(number)
