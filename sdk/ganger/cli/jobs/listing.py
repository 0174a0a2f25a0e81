"""`ganger jobs`: the list of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.jobs.selection import JobFilters
from ganger.cli.options import Json, expanded

if TYPE_CHECKING:
    from ganger import Job

HEADINGS = ("ID", "NAME", "STATUS", "TRIES", "NODE", "WAITED", "RAN", "WHY")


@expanded
def jobs(
    *,
    which: JobFilters,
    order: Annotated[list[str] | None, typer.Option(help="Order by a field, descending with a leading -.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List jobs, the newest first.

    [bold]ganger jobs --status RUNNING --status QUEUED[/]
    [bold]ganger jobs --type kml-footprint --since PT3H --json | jq .id[/]
    """
    with connection.client() as api:
        listed = api.jobs.list(limit=limit, page_size=min(limit, 1000), order=order or ["-id"], **which.query())
        if as_json:
            for job in listed:
                screen.line(job.document)
            return
        screen.table(HEADINGS, (_row(job) for job in listed), empty="no jobs")


def _row(job: Job) -> Sequence[object]:
    return (
        job.id,
        _title(job),
        job.status,
        f"{job.tries}/{job.max_tries}",
        job.node or "",
        screen.duration(screen.between(job.queued, job.started or job.ended)),
        screen.duration(screen.between(job.started, job.ended)),
        _why(job),
    )


def _title(job: Job) -> str:
    kind = f"{job.job_type.name}:{job.job_type.version}"
    return f"{job.name} ({kind})" if job.name else kind


def _why(job: Job) -> str:
    if job.is_held and not job.is_final:
        return f"held: {job.hold_reason}" if job.hold_reason else "held"
    if job.error is not None:
        return job.error.title or job.error.name
    return f"{job.percent:.0f} % {job.note or ''}".strip() if job.percent is not None and not job.is_final else ""
