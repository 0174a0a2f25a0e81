"""What `ganger logs` picks out of an output: its end, what was printed since a time, and the lines that hold something."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypedDict

import typer

from ganger.cli import screen, times
from ganger.cli.failures import FAILED
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, Execution, Job, LogHit

Stream: TypeAlias = Literal["combined", "stdout", "stderr"]
Phase: TypeAlias = Literal["pre", "job", "post", "cleanup"]
MOST_TAIL = 100_000


class _Part(TypedDict):
    tail_lines: int | None
    started: datetime | None


class _Question(TypedDict):
    stream: Stream
    phase: str | None
    regex: bool
    any_case: bool
    started: datetime | None


@dataclass(frozen=True, slots=True)
class LogPart:
    """Options that choose a part of an output."""

    tail: Annotated[
        int | None, typer.Option(min=1, max=MOST_TAIL, help="Only so many last lines; with --grep the last that match.")
    ] = None
    since: Annotated[
        str | None, typer.Option(help="Only what was printed since: 10m, 3h, today, 2026-11-22T10:00.")
    ] = None

    def query(self) -> _Part:
        """Return the part as the client takes it."""
        return {"tail_lines": self.tail, "started": self.moment()}

    def moment(self) -> datetime | None:
        """Return the time since which; None for all."""
        return datetime.fromisoformat(times.past(self.since, "--since")) if self.since else None


@dataclass(frozen=True, slots=True)
class LogGrep:
    """Options that look for lines."""

    pattern: Annotated[
        str | None,
        typer.Option(
            "--grep",
            metavar="PATTERN",
            help="Only lines that match. The server looks for them, however large the log is.",
        ),
    ] = None
    fixed: Annotated[bool, typer.Option("--fixed", "-F", help="The pattern is a text.")] = False
    any_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="Capital and small letters alike.")] = False
    numbers: Annotated[bool, typer.Option("--line-numbers", "-n", help="Each line behind its number.")] = False
    every_try: Annotated[bool, typer.Option("--every-try", help="In all tries and members, the newest first.")] = False

    def check(self, *, follow: bool, attempt: int | None) -> None:
        """Say what does not go together; raises UsageError."""
        if self.pattern is None:
            alone = {"--fixed": self.fixed, "--ignore-case": self.any_case, "--line-numbers": self.numbers}
            for option, given in {**alone, "--every-try": self.every_try}.items():
                if given:
                    raise UsageError(f"{option} goes with --grep PATTERN")
            return
        if not self.pattern:
            raise UsageError("--grep: an empty pattern matches every line; leave it out")
        if follow:
            raise UsageError(
                "--grep looks at what is there already; of what is still to come: ganger logs --follow JOB | grep PATTERN"
            )
        if self.every_try and attempt is not None:
            raise UsageError("--try names one try, --every-try all: one of them")


def grep_job(
    api: Client,
    job_id: int,
    grep: LogGrep,
    part: LogPart,
    *,
    stream: Stream,
    phase: Phase | None,
    attempt: int | None,
    member: int | None,
    as_json: bool,
) -> None:
    """Print the lines of a job's outputs that match; with status 1 when there are none, as grep does."""
    options: _Question = {
        "stream": stream,
        "phase": phase,
        "regex": not grep.fixed,
        "any_case": grep.any_case,
        "started": part.moment(),
    }
    if grep.every_try:
        hits: Iterable[LogHit] = api.logs.search_job(job_id, grep.pattern or "", **options)
        hits = (hit for hit in hits if member in {None, hit.member})
    else:
        execution = chosen(api.jobs.get(job_id), attempt, member or 0)
        if execution is None:
            screen.note(f"job {job_id} has no {'such try' if attempt or member else 'output: it has not run yet'}")
            raise typer.Exit(FAILED)
        hits = api.logs.search(execution.id, grep.pattern or "", **options)
    found = 0
    for hit in hits if part.tail is None else deque(hits, part.tail):
        found += 1
        if as_json:
            screen.line(hit.document)
        else:
            _print(hit, grep)
    if not found:
        screen.note("no line matches")
        raise typer.Exit(FAILED)


def chosen(job: Job, attempt: int | None, member: int) -> Execution | None:
    """Return the execution of a try and member, by default of the newest try; None where there is none."""
    if attempt is None and job.latest is not None:
        attempt = job.latest.attempt
    return next(
        (execution for execution in job.job_exes if (execution.attempt, execution.member) == (attempt, member)), None
    )


def _print(hit: LogHit, grep: LogGrep) -> None:
    try_ = f"{hit.attempt}.{hit.member}: " if hit.member else f"{hit.attempt}: "
    screen.text((try_ if grep.every_try else "") + (f"{hit.line + 1}:" if grep.numbers else "") + hit.text)
