"""The options of `ganger submit` in groups: the needs of a job, the place and time of its run, and the work afterwards.

An option sets the field of the request that has its name, or the one that it is marked with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import typer

from ganger.cli import times
from ganger.cli.options import amounts, pairs
from ganger.cli.quantities import cpus, mebibytes, some_whole_seconds
from ganger.cli.submit.constraints import constraints
from ganger.cli.submit.field_options import JobField, SubmissionOptions
from ganger.requests import JobRequest

NEEDS, WHERE, TRIES, AFTER = "What it needs", "Where it runs", "When and how often", "Afterwards"
COUNT_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedOptions(SubmissionOptions):
    """Resources, and the environment."""

    cpus: Annotated[
        float | None,
        typer.Option(parser=cpus, metavar="CPUS", help="Cpus, such as 0.5.", rich_help_panel=NEEDS),
        JobField("cpus_required"),
    ] = None
    mem: Annotated[
        float | None,
        typer.Option(
            parser=mebibytes, metavar="SIZE", help="Memory: MiB, or an amount such as 4G.", rich_help_panel=NEEDS
        ),
        JobField("mem_required"),
    ] = None
    disk: Annotated[
        float | None,
        typer.Option(
            parser=mebibytes,
            metavar="SIZE",
            help="Disk for output: MiB, or an amount such as 20G.",
            rich_help_panel=NEEDS,
        ),
        JobField("disk_out_required"),
    ] = None
    resource: Annotated[
        list[str] | None,
        typer.Option(help="NAME=AMOUNT of another resource, such as gpu=1.", rich_help_panel=NEEDS),
        JobField("resources", amounts),
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE in the job's environment.", rich_help_panel=NEEDS),
        JobField("environment", _environment),
    ] = None
    await_: Annotated[
        list[str] | None,
        typer.Option(
            "--await",
            metavar="NAME",
            help="An input that is uploaded later, with `ganger upload`; the job waits for it.",
            rich_help_panel=NEEDS,
        ),
        JobField("awaits"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhereOptions(SubmissionOptions):
    """The nodes that a job may run on. `strict` refuses a job that no node could ever run."""

    pool: Annotated[str | None, typer.Option(help="Only nodes of this pool.", rich_help_panel=WHERE)] = None
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="What a node's label must be: zone=a, zone!=b, arch (exists), !spot (does not), gpus>2.",
            rich_help_panel=WHERE,
        ),
        JobField("constraints", constraints),
    ] = None
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse it if no node is large enough, or its project may never have so much.",
            rich_help_panel=WHERE,
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOptions(SubmissionOptions):
    """When a job starts, how often it is tried, and how many of the same there are."""

    priority: Annotated[
        int | None, typer.Option(min=0, help="The smaller number goes first.", rich_help_panel=TRIES)
    ] = None
    max_tries: Annotated[int | None, typer.Option(min=1, help="Try so often.", rich_help_panel=TRIES)] = None
    timeout: Annotated[
        int | None,
        typer.Option(
            parser=some_whole_seconds,
            metavar="TIME",
            help="For the command of one try: seconds, or a time such as 10m or 1h30m.",
            rich_help_panel=TRIES,
        ),
    ] = None
    not_before: Annotated[
        str | None,
        typer.Option(
            help="Time such as 2026-11-22T20:00:00Z; without zone it is of this machine's.", rich_help_panel=TRIES
        ),
        JobField("not_before", _moment),
    ] = None
    held: Annotated[bool, typer.Option("--held", help="Wait until somebody releases it.", rich_help_panel=TRIES)] = (
        False
    )
    hold_reason: Annotated[str | None, typer.Option(help="Why it is held, for the others.", rich_help_panel=TRIES)] = (
        None
    )
    key: Annotated[
        str | None,
        typer.Option(help="Idempotency key: the same key makes the job only once.", rich_help_panel=TRIES),
        JobField("idempotency_key", by_hand=True),
    ] = None
    count: Annotated[
        int,
        typer.Option(
            min=1, max=COUNT_MAX, help="So many jobs; each finds its number from 0 in $INDEX.", rich_help_panel=TRIES
        ),
        JobField("count", by_hand=True),
    ] = 1
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="With --count: one job of so many members, which start all at once; each finds its number in $GANGER_MEMBER.",
            rich_help_panel=TRIES,
        ),
    ] = False

    @property
    def jobs(self) -> int:
        """The number of jobs to make: the members of a gang are one job."""
        return 1 if self.together else self.count

    def apply(self, request: JobRequest) -> JobRequest:
        """Return the request with these fields; `count` is one of them only for a gang. Raises UsageError naming the option."""
        return replace(SubmissionOptions.apply(self, request), count=self.count if self.together else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterOptions:
    """The work of the command after the job is made, or instead of making it."""

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Make nothing; say where it would start, or why not; up to 100 jobs.",
            rich_help_panel=AFTER,
        ),
    ] = False
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end; exit as the job did.", rich_help_panel=AFTER)
    ] = False
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Likewise, and print what the job writes.", rich_help_panel=AFTER)
    ] = False


def _environment(words: list[str]) -> dict[str, str]:
    return pairs(words, "--env")


def _moment(text: str) -> datetime:
    return times.moment(text, "--not-before")
