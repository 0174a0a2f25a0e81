"""`ganger purge`: delete now what is kept no longer, or see what that is."""

from __future__ import annotations

from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, expanded
from ganger.documents import JsonObject
from ganger.errors import UsageError

HEADINGS = ("PROJECT", "WHAT", "COUNT", "BYTES", "OLDEST")
GONE_HEADINGS = ("PROJECT", "WHAT", "COUNT", "BYTES", "LAST")


@expanded
def purge(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; say what would be deleted.")] = False,
    project: Annotated[str | None, typer.Option(help="With --dry-run: of this project only.")] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Delete nothing; say what has been deleted so far.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Delete what is kept no longer: ended jobs, what they printed, files.

    The leader does so by itself every hour. How long things are kept: ganger projects change NAME --keep completed_days=30

    [bold]ganger purge --dry-run[/]
    """
    if project is not None and not dry_run:
        raise UsageError("--project goes with --dry-run: a purge is of all projects")
    with connection.client() as api:
        found = api.retention.purged() if gone else api.retention.due(project) if dry_run else api.retention.purge()
    if as_json:
        for each in found:
            screen.line(each)
    elif gone:
        screen.table(GONE_HEADINGS, (_row(each, "last") for each in found), empty="nothing was purged yet")
    else:
        screen.table(HEADINGS, (_row(each, "oldest") for each in found), empty="nothing is due")
        if not dry_run and found:
            screen.note("the scheduler deletes this now; ganger purge --gone shows how much is gone")


def _row(each: JsonObject, moment: str) -> tuple[object, ...]:
    what = f"{each['status']} {each['what']}" if each.get("status") else each["what"]
    size = "" if each["bytes"] is None else f"{each['bytes']:,}"
    return (each["project"] or "(deleted)", what, f"{each['count']:,}", size, screen.moment(each[moment]))
