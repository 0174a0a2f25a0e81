"""`ganger check`: are the rows as the protocol says they must be? Reads the database itself, while everything runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.expected import reported
from ganger.cli import screen
from ganger.cli.failures import FAILED
from ganger.cli.options import Json
from ganger.cli.quantities import number


@reported
def check(
    *,
    hours: Annotated[
        float,
        typer.Option(parser=number, metavar="HOURS", help="Judge the history of jobs that changed in so many hours."),
    ] = 24,
    everything: Annotated[bool, typer.Option("--all", help="Judge the whole history.")] = False,
    as_json: Json = False,
) -> None:
    """Ask the database whether every invariant of the protocol holds. Needs GANGER_DATABASE_URL.

    Exit status 1 when something is not as it must be: that is a fault of Ganger's, worth a report.

    [bold]ganger check --all[/]
    """
    from api import serve  # noqa: PLC0415 - only here
    from scheduler.leader import invariants  # noqa: PLC0415 - likewise
    from scheduler.settings import read_settings  # noqa: PLC0415 - likewise

    rt = serve.make_runtime(read_settings(), "check", pool_size=1)
    violations = invariants.check(rt, hours=None if everything else hours)
    if as_json:
        screen.document({"violations": [asdict(violation) for violation in violations]})
    else:
        screen.table(
            ("invariant", "what", "is", "but must be"),
            [(violation.number, violation.subject, violation.detail, violation.says) for violation in violations],
            empty="Every invariant holds.",
        )
    if violations:
        raise typer.Exit(FAILED)
