"""Traces: jobs with their true times, read from the Standard Workload Format or built from this installation's history."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scheduler.rules.resources import Resources

_FIELDS = 18
_SUBMIT, _RUN, _USED, _WANTED, _LIMIT, _USER, _PROGRAM = 1, 3, 4, 7, 8, 11, 13


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job of a trace. `run_s` is what it takes once started; a scheduler learns that only when it ends.

    `timeout_s` is the limit it was submitted with. `kind` stands for the job type: jobs of one kind are believed to be alike.
    A gang has `count` members of `requires` each.
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
class Record:
    """One line of a workload log: seconds, processors."""

    number: int
    submitted: int
    run_s: int
    processors: int
    limit_s: int
    user: int
    program: int


def machine_size(lines: Iterable[str]) -> int | None:
    """The processors that a workload log's header names (MaxProcs, else MaxNodes); None when it names neither."""
    named: dict[str, int] = {}
    for line in lines:
        if not line.startswith(";"):
            break
        name, _, value = line.lstrip("; ").partition(":")
        if value.strip().isdigit():
            named[name.strip()] = int(value)
    return named.get("MaxProcs", named.get("MaxNodes"))


def read_swf(lines: Iterable[str], processors: int) -> list[Record]:
    """The jobs of a workload log that a machine of so many processors can run, by submission time and number.

    A run is cut at its limit; where no limit was given the run time is taken for it. Jobs without run time or processors, and
    those wider than the machine, are left out. Raises ValueError for a line that is not of the format.
    """
    records = [record for record in _records(lines) if record.run_s > 0 and 0 < record.processors <= processors]
    return sorted(records, key=lambda record: (record.submitted, record.number))


def jobs_of(records: Iterable[Record], *, widest: int | None = None) -> list[TraceJob]:
    """Jobs that ask for one cpu per processor; those wider than `widest` cpus become gangs of equal members.

    User and program make the kind.
    """
    return [_job(record, widest or record.processors) for record in records]


def _job(record: Record, widest: int) -> TraceJob:
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


def _records(lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.startswith(";") and line.strip():
            yield _record(number, line.split())


def _record(line: int, fields: list[str]) -> Record:
    if len(fields) < _FIELDS:
        raise ValueError(f"line {line} has {len(fields)} fields, the Standard Workload Format has {_FIELDS}")
    values = [int(float(field)) for field in fields[:_FIELDS]]
    run_s, processors = values[_RUN], values[_USED] if values[_USED] > 0 else values[_WANTED]
    limit_s = values[_LIMIT] if values[_LIMIT] > 0 else run_s
    return Record(values[0], values[_SUBMIT], min(run_s, limit_s), processors, limit_s, values[_USER], values[_PROGRAM])
