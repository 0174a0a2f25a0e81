"""`ganger search`: whatever has a name that begins so; `ganger watch`: jobs as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import FAILED
from ganger.cli.jobs.selection import JobFilters, of_options
from ganger.cli.options import Json, expanded

if TYPE_CHECKING:
    from ganger import Job

HEADINGS = ("KIND", "ID", "NAME", "MORE")
WAIT_S = 30
PATIENCE_S = 120.0


@expanded
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="An id, or the beginning of a name.")],
    *,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Find jobs by id or name, and job types, nodes, pools and projects by the beginning of their names.

    [bold]ganger search kml[/]
    """
    with connection.client() as api:
        found = api.lookup.search(" ".join(words))
    if as_json:
        for one in found:
            screen.line(one)
    else:
        rows = [(one["kind"], one["id"], one["name"], one["detail"]) for one in found]
        screen.table(HEADINGS, rows, empty="nothing has such a name")
    if not found:
        raise typer.Exit(FAILED)


@expanded
def watch(
    *,
    which: JobFilters,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="End after so many changes; default: with Ctrl-C.")
    ] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Print a line whenever a job is made, moved, held or released, from now on. None is missed, and the API is not asked again and again.

    [bold]ganger watch --status FAILED --type kml-footprint[/]
    """
    with connection.client() as api, of_options():
        query = which.query()
        cursor, seen = api.jobs.changes(None, wait_s=0, patience_s=None, **query).cursor, 0
        screen.note("watching; Ctrl-C ends it")
        while limit is None or seen < limit:
            found = api.jobs.changes(cursor, wait_s=WAIT_S, patience_s=PATIENCE_S, **query)
            cursor = found.cursor
            for job in found.jobs[: None if limit is None else limit - seen]:
                seen += 1
                if as_json:
                    screen.line(job.document)
                else:
                    screen.text(_line(job))


def _line(job: Job) -> str:
    where = f" on {job.node}" if job.node is not None else ""
    why = f": {job.error.title or job.error.name}" if job.error is not None and job.status == "FAILED" else ""
    return f"{job.id}\t{job.status}{' (held)' if job.is_held else ''}\t{job.name or job.job_type.name}{where}{why}"
