"""`ganger hold`, `release`: keep jobs from starting, and let them go, by id or by the filters of the list."""

from __future__ import annotations

from ganger.cli.connection import Connection
from ganger.cli.jobs.bulk import BulkOptions, Ids, JobAction, Reason, carry_out
from ganger.cli.jobs.selection import JobOptions
from ganger.cli.options import expanded


@expanded
def hold(
    jobs: Ids = None, *, which: JobOptions, options: BulkOptions, reason: Reason = None, connection: Connection
) -> None:
    """Keep jobs from starting until they are released.

    [bold]ganger hold 12 --reason 'wait for the new data'[/]

    [bold]ganger hold --project maps --status QUEUED[/]
    """
    selection = which.select(jobs)
    with connection.client() as api:
        carry_out(
            api,
            JobAction(
                kind="hold", done="held", advice="only jobs that wait and are not held yet can be held", reason=reason
            ),
            selection,
            options,
        )


@expanded
def release(jobs: Ids = None, *, which: JobOptions, options: BulkOptions, connection: Connection) -> None:
    """Let held jobs go.

    [bold]ganger release 12[/]

    [bold]ganger release --label batch=7[/]
    """
    selection = which.select(jobs)
    with connection.client() as api:
        carry_out(
            api, JobAction(kind="release", done="released", advice="only held jobs can be released"), selection, options
        )
