"""`ganger requeue`: give jobs that ended badly new tries, by id or by the filters of the list."""

from __future__ import annotations

from typing import Annotated

import typer

from ganger.cli.connection import Connection
from ganger.cli.jobs.bulk import BulkOptions, Ids, JobAction, Reason, carry_out
from ganger.cli.jobs.selection import JobOptions
from ganger.cli.options import expanded


@expanded
def requeue(
    jobs: Ids = None,
    *,
    which: JobOptions,
    options: BulkOptions,
    priority: Annotated[int | None, typer.Option(min=0, help="New priority; the smaller number goes first.")] = None,
    reason: Reason = None,
    connection: Connection,
) -> None:
    """Give FAILED and CANCELED jobs a new round of tries; others that match are passed over.

    [bold]ganger requeue 12[/]

    [bold]ganger requeue --status FAILED --error-category SYSTEM --since P1D[/]
    """
    selection = which.select(jobs)
    advice = "only FAILED and CANCELED jobs can be requeued"
    with connection.client() as api:
        action = JobAction(kind="requeue", done="requeued", advice=advice, reason=reason, priority=priority)
        carry_out(api, action, selection, options)
