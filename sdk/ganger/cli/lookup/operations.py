"""`ganger operations`: bulk actions, what they changed, and their undoing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.jobs.bulk import BulkOptions, JobAction, carry_out
from ganger.cli.jobs.selection import Selection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Operation

operations = typer.Typer(help="List, show, undo bulk actions.", cls=ListByDefault)

HEADINGS = ("ID", "ACTION", "STATUS", "DONE", "SKIPPED", "BY", "WHEN", "WHY")
UNDO = {"cancel": "requeue", "hold": "release", "release": "hold", "pin": "unpin", "unpin": "pin"}
DONE = {"requeue": "requeued", "release": "released", "hold": "held", "unpin": "unpinned", "pin": "pinned"}
"""What takes an action back, and the word for it; jobs that were run again cannot be unrun."""

OperationNumber = Annotated[int, typer.Argument(metavar="ID", min=1, help="The number of the action.")]


@operations.command("list")
@expanded
def list_operations(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List bulk actions, the newest first.

    [bold]ganger operations[/]
    """
    with connection.client() as api:
        found = api.lookup.operations(limit=limit)
        if as_json:
            for operation in found:
                screen.line(operation.document)
            return
        screen.table(HEADINGS, map(_row, found), empty="no bulk actions yet")


@operations.command("show")
@expanded
def show(number: OperationNumber, *, as_json: Json = False, connection: Connection) -> None:
    """Show a bulk action: which jobs it chose, how many it changed, and which command lists them.

    [bold]ganger operations show 9[/]
    """
    with connection.client() as api:
        found = api.jobs.operation(number)
    if as_json:
        screen.document(found.document)
        return
    screen.fields(
        {
            "action": found.kind,
            "status": found.status,
            "of jobs": screen.compact(found.filters) if found.filters else "all",
            "matched": found.matched,
            "changed": found.done,
            "left as they were": found.skipped,
            "by": found.created_by,
            "why": found.reason,
            "message": found.message,
            "begun": screen.moment(found.created),
            "ended": screen.moment(found.ended) if found.ended else None,
        }
    )
    if found.kind in UNDO and found.done:
        screen.note(f"taking it back: ganger operations undo {number}")


@operations.command("undo")
@expanded
def undo(
    number: OperationNumber,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for the others.")] = None,
    options: BulkOptions,
    connection: Connection,
) -> None:
    """Take a bulk action back, for the jobs that it changed: what it cancelled is queued again, what it held is released, and the other way round.

    A job that ran before it was cancelled runs again from its beginning.

    [bold]ganger operations undo 9 --dry-run[/]
    """
    with connection.client() as api:
        kind = api.jobs.operation(number).kind
        if kind not in UNDO:
            raise UsageError(
                f"operation {number} was a {kind}: what was run again cannot be unrun; `ganger cancel` ends what still runs"
            )
        action = JobAction(kind=UNDO[kind], done=DONE[UNDO[kind]], reason=reason or f"undoes operation {number}")
        # What was run again since and failed is no longer what was cancelled.
        still = {"status": ["CANCELED"]} if kind == "cancel" else {}
        carry_out(api, action, Selection((), {"changed_by": [number], **still}, everything=False), options)


def _row(one: Operation) -> tuple[object, ...]:
    return (one.id, one.kind, one.status, one.done, one.skipped, one.created_by, screen.moment(one.created), one.reason)
