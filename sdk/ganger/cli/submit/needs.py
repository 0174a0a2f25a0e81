"""`ganger needs`: let a job that waits for others wait for other ones."""

from __future__ import annotations

from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.job_ids import JobId
from ganger.cli.options import Json, expanded
from ganger.cli.submit.need_options import needs_of
from ganger.errors import UsageError


@expanded
def needs(
    job_id: JobId,
    *,
    after: Annotated[list[int] | None, typer.Option(metavar="JOB", help="This job has ended well.")] = None,
    after_any: Annotated[list[int] | None, typer.Option(metavar="JOB", help="It has ended, in any way.")] = None,
    after_fail: Annotated[list[int] | None, typer.Option(metavar="JOB", help="It failed.")] = None,
    after_start: Annotated[list[int] | None, typer.Option(metavar="JOB", help="It runs.")] = None,
    need: Annotated[list[str] | None, typer.Option("--needs", metavar="NEED", help="In full, as for submit.")] = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="It waits for nothing any more.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the others.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Let a PENDING or BLOCKED job wait for these jobs instead of those it waits for; what it takes outputs of stays.

    [bold]ganger needs 12 --after 9 --after-any 10[/]
    """
    wanted = needs_of(after, after_any, after_fail, after_start, need)
    if bool(wanted) == nothing:
        raise UsageError("say what it waits for (--after JOB, ...), or --nothing")
    with connection.client() as api:
        job = api.workflows.change_needs(job_id, wanted, reason=reason)
    if as_json:
        screen.document(job)
    else:
        screen.text(f"job {job['id']} is {job['status']}")
