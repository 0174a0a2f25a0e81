"""`ganger pin`, `unpin`: keep jobs whatever the limits of retention say, by id or by the filters of the list."""

from __future__ import annotations

from ganger.cli.connection import Connection
from ganger.cli.jobs.bulk import BulkOptions, Ids, JobAction, Reason, carry_out
from ganger.cli.jobs.selection import JobOptions
from ganger.cli.options import expanded


@expanded
def pin(
    job_ids: Ids = None, *, which: JobOptions, options: BulkOptions, reason: Reason = None, connection: Connection
) -> None:
    """Keep jobs for ever, with their output and the files that they made or read.

    [bold]ganger pin 12 --reason 'the figures of the paper'[/]

    [bold]ganger pin --label run=7[/]
    """
    selection = which.select(job_ids)
    with connection.client() as api:
        carry_out(api, JobAction(kind="pin", done="pinned", reason=reason), selection, options)


@expanded
def unpin(job_ids: Ids = None, *, which: JobOptions, options: BulkOptions, connection: Connection) -> None:
    """Let pinned jobs age again, from now on.

    [bold]ganger unpin 12[/]
    """
    selection = which.select(job_ids)
    with connection.client() as api:
        carry_out(api, JobAction(kind="unpin", done="unpinned"), selection, options)
