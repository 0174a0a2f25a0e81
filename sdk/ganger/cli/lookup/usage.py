"""`ganger usage`: what a job uses of cpus, memory and disk while it runs, beside what it asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import FAILED
from ganger.cli.job_ids import JobId
from ganger.cli.jobs.grep import chosen
from ganger.cli.options import Json, expanded

if TYPE_CHECKING:
    from ganger.answers import UsageAmounts, UsagePointView, UsageView

HEADINGS = ("WHEN", "AFTER", "CPUS", "MEMORY", "DISK")
MOST_ROWS = 40
"""On a terminal; in a pipe and as JSON there is every point."""
MIB = 1 << 20


@expanded
def usage(
    job_id: JobId,
    *,
    attempt: Annotated[
        int | None, typer.Option("--try", min=1, help="Of this try (see `ganger show`); default: the newest.")
    ] = None,
    member: Annotated[int, typer.Option(min=0, help="Of this member of a gang.")] = 0,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show what a job uses while it runs of cpus, memory and disk, beside what it asked for and the most that it used.

    Nodes look every 10 seconds; a long run has at most 500 points.

    [bold]ganger usage 12[/]

    [bold]ganger usage 12 --try 1 --json[/]
    """
    with connection.client() as api:
        execution = chosen(api.jobs.get(job_id), attempt, member)
        if execution is None:
            screen.note(f"job {job_id} has no {'such try' if attempt or member else 'usage: it has not run yet'}")
            raise typer.Exit(FAILED)
        found = api.logs.usage(execution.id)
    if as_json:
        screen.document(found)
        return
    if screen.terminal():
        screen.fields({"asked for": _amounts(found["asked"]), "at most used": _amounts(found["peak"])})
    screen.table(HEADINGS, map(_row, _shown(found)), empty="")
    if found["message"]:
        screen.note(found["message"])


def _shown(found: UsageView) -> Sequence[UsagePointView]:
    """Return the points that are printed: where there are too many for a terminal, the largest memory of each few."""
    points = found["points"]
    if not screen.terminal() or len(points) <= MOST_ROWS:
        return points
    few = -(-len(points) // MOST_ROWS)
    return [max(points[start : start + few], key=lambda one: one["mem"] or 0.0) for start in range(0, len(points), few)]


def _row(one: UsagePointView) -> Sequence[object]:
    when = screen.moment(datetime.fromisoformat(one["time"]))
    return when, screen.duration(one["seconds"]), _cpus(one), _size(one["mem"]), _size(one["disk"])


def _amounts(of: UsageAmounts) -> str:
    """Return amounts in words; nothing of what is not known."""
    told = [
        f"{_cpus(of)} cpus" if of["cpus"] is not None else "",
        f"{_size(of['mem'])} memory" if of["mem"] is not None else "",
        f"{_size(of['disk'])} disk" if of["disk"] is not None else "",
    ]
    return ", ".join(one for one in told if one) or "nothing is known"


def _cpus(of: UsageAmounts) -> str:
    return "" if of["cpus"] is None else f"{of['cpus']:.2f}"


def _size(mib: float | None) -> str:
    return "" if mib is None else screen.size(mib * MIB)
