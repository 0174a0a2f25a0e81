"""`ganger jobs`: the list of jobs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.jobs import columns
from ganger.cli.jobs.selection import JobFilters, of_options
from ganger.cli.options import Json, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganger import Job
    from ganger.answers import JobGroupView

USUAL_LIMIT = 50


@expanded
def jobs(
    *,
    which: JobFilters,
    shown: Annotated[
        str | None,
        typer.Option(
            "--columns", "-o", metavar="NAMES", help="Columns, such as id,name,created,label.run; --help lists them."
        ),
    ] = None,
    order: Annotated[list[str] | None, typer.Option(help="Order by a field, descending with a leading -.")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="At most so many; 50, and with --csv 100,000.", show_default=False),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="WORD",
            help="Count them instead: by status, job_type, project, node, error, pool, priority, label:KEY.",
        ),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values for spreadsheets, with all columns; all that match.")
    ] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List jobs, the newest first.

    Columns: id, name, status, tries, node, waited, ran, why; and type, command, project, priority, pool, cpus, mem, labels,
    label.KEY, created, queued, started, ended. The name is the command where a job has none.

    [bold]ganger jobs --status RUNNING --status QUEUED[/]

    [bold]ganger jobs --label run=7 -o id,name,label.run,ended,why[/]

    [bold]ganger jobs --status FAILED --group-by error[/]

    [bold]ganger jobs --type kml-footprint --since 3h --json | jq .id[/]

    [bold]ganger jobs --status FAILED --since 7d --csv > failed.csv[/]
    """
    if as_csv and (as_json or group_by is not None or shown is not None):
        raise UsageError("--csv has all columns of each job; it does not go with --json, --group-by and --columns")
    names, most = columns.chosen(shown), limit or USUAL_LIMIT
    with connection.client() as api, of_options():
        if group_by is not None:
            _print_groups(api.lookup.groups(group_by, **which.query()), group_by, as_json=as_json)
            return
        if as_csv:
            for piece in api.lookup.export("csv", limit=limit, order=order or ["-id"], **which.query()):
                sys.stdout.buffer.write(piece)
            return
        listed = api.jobs.list(limit=most, page_size=min(most, 1000), order=order or ["-id"], **which.query())
        if as_json:
            for job in listed:
                screen.line(job.document)
            return
        found: list[Job] = []
        headings = [name.upper() for name in names]
        screen.table(headings, (columns.row(job, names) for job in screen.kept(listed, found)), empty="no jobs")
    failed = next((job for job in found if job.status == "FAILED"), None)
    if failed is not None and screen.terminal():
        screen.note(f"what a job wrote: ganger logs {failed.id}; all about it: ganger show {failed.id}")


def _print_groups(found: Sequence[JobGroupView], group_by: str, *, as_json: bool) -> None:
    if as_json:
        for group in found:
            screen.line(group)
        return
    rows = [(group["value"], f"{'' if group['count_exact'] else 'at least '}{group['count']}") for group in found]
    screen.table((group_by.upper(), "JOBS"), rows, empty="no jobs")
