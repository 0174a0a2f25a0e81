"""`ganger audit`: who did what to what, and why; `ganger me`: who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen, times
from ganger.cli.connection import Connection
from ganger.cli.options import Json, expanded

if TYPE_CHECKING:
    from ganger.records import AuditEntry

HEADINGS = ("WHEN", "WHO", "WHAT", "OF WHAT", "WHY", "MORE")


@expanded
def audit(
    *,
    actor: Annotated[
        list[str] | None, typer.Option("--by", help="Of these people, by the names of their tokens.")
    ] = None,
    action: Annotated[list[str] | None, typer.Option(help="Such as token.create; repeatable.")] = None,
    subject: Annotated[
        str | None, typer.Option("--of", help="Of what: node:7, or a beginning such as project:.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Since: 3h, yesterday, 2026-11-22.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List who did what, the newest first. It takes an operator's token.

    [bold]ganger audit --since yesterday --of node:[/]
    """
    started = times.past(since, "--since") if since else None
    with connection.client() as api:
        found = api.lookup.acts(
            limit=limit, page_size=min(limit, 1000), actor=actor, action=action, subject=subject, started=started
        )
        if as_json:
            for act in found:
                screen.line(act.document)
            return
        screen.table(HEADINGS, map(_row, found), empty="nobody did anything")


@expanded
def me(*, as_json: Json = False, connection: Connection) -> None:
    """Say who this token is: its name, its role, its project, when it ends.

    [bold]ganger me[/]
    """
    with connection.client() as api:
        found = api.tokens.me()
        if as_json:
            screen.document(found)
            return
        screen.fields(
            {
                "name": found["name"],
                "role": found["role"],
                "project": found["project"] or "every project",
                "ends": found["expires"] or "never",
                "api": api.url,
            }
        )


def _row(act: AuditEntry) -> tuple[object, ...]:
    more = ", ".join(f"{name} {screen.compact(value)}" for name, value in act.detail.items())
    return (screen.moment(act.at), act.actor, act.action, act.subject, act.reason, more)
