"""`ganger cancel`: end jobs, by id or by the filters of the list."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import REFUSED
from ganger.cli.jobs.bulk import BulkOptions, Ids, JobAction, Reason, carry_out
from ganger.cli.jobs.selection import JobOptions
from ganger.cli.options import expanded
from ganger.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from ganger import Client


@expanded
def cancel(
    jobs: Ids = None,
    *,
    which: JobOptions,
    options: BulkOptions,
    reason: Reason = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when every process of the jobs is dead; with ids only.")
    ] = False,
    followers: Annotated[
        bool,
        typer.Option("--followers", help="Also what waits for a job and for nothing else; with ids only."),
    ] = False,
    connection: Connection,
) -> None:
    """Cancel jobs, waiting or running. A job is CANCELED at once; its processes are dead soon after.

    [bold]ganger cancel 12 13[/]

    [bold]ganger cancel 12 --followers[/]

    [bold]ganger cancel --type kml-footprint --status QUEUED --dry-run[/]

    [bold]ganger cancel --label batch=7 --yes[/]
    """
    selection = which.select(jobs)
    if wait and not selection.job_ids:
        raise UsageError("--wait is for jobs that are given by id")
    if followers and (not selection.job_ids or options.dry_run or reason):
        raise UsageError("--followers is for jobs that are given by id, without --dry-run and --reason")
    with connection.client() as api:
        if selection.job_ids and not options.dry_run and not reason:
            each = partial(_cancel_one, api, wait=wait, followers=followers, as_json=options.as_json)
            # One by one: one that cannot be canceled does not keep the others from it.
            raise typer.Exit(max(map(each, selection.job_ids)))
        action = JobAction(
            kind="cancel", done="canceled", advice="jobs that have ended are not canceled", reason=reason
        )
        carry_out(api, action, selection, options)
        if wait and not options.dry_run:
            for job_id in selection.job_ids:
                api.jobs.wait_dead(job_id)


def _cancel_one(api: Client, job_id: int, *, wait: bool, followers: bool, as_json: bool) -> int:
    """Cancel a job, tell of it, and return the exit status."""
    try:
        job = api.jobs.cancel(job_id, followers=followers)
    except (Conflict, NotFound) as error:
        screen.note(f"ganger: job {job_id}: {error}")
        return REFUSED
    if wait:
        job = api.jobs.wait_dead(job_id)
    if as_json:
        screen.line(job.document)
    else:
        screen.text(f"job {job.id} {job.status}")
    sys.stdout.flush()
    return 0
