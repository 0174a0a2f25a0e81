"""`ganger queue`: which jobs go next and why, and how projects stand beside each other."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, expanded
from ganger.documents import JsonObject

HEADINGS = ("PLACE", "JOB", "NAME", "PROJECT", "PRIORITY", "WHAT NOW")
BALANCE_HEADINGS = ("PROJECT", "WEIGHT", "HOLDS", "IS OWED", "RUNS", "WAITS")


@expanded
def queue(
    *,
    balance: Annotated[
        bool, typer.Option("--balance", help="How projects stand: what each holds and is owed.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="At most so many jobs.")] = 20,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List the jobs that go next, in the order in which the scheduler looks at them.

    [bold]ganger queue -n 5[/]

    [bold]ganger queue --balance[/]
    """
    with connection.client() as api:
        found = [one.document for one in api.scheduler.balance()] if balance else api.scheduler.queue_head(limit=limit)
    if as_json:
        for one in found:
            screen.line(one)
    elif balance:
        screen.table(BALANCE_HEADINGS, (_balance_row(one) for one in found), empty="no project waits or holds anything")
    else:
        screen.table(HEADINGS, (_row(one) for one in found), empty="no job waits to be placed")
        if found:
            screen.note("why one waits: ganger why JOB")


def _row(one: JsonObject) -> tuple[object, ...]:
    job = one["job"]
    return (
        one["position"],
        job["id"],
        job["name"] or job["job_type"]["name"],
        job["project"],
        job["priority"],
        _what(one),
    )


def _what(one: JsonObject) -> str:
    where = ", ".join(node["name"] for node in one["nodes"][:3])
    if one["would"] == "start":
        return f"starts on {where}"
    if one["would"] == "make-room":
        return "room is made for it"
    if one["start"] is not None:
        return f"room is kept on {where} from {screen.moment(datetime.fromisoformat(one['start']))}"
    return str(one["reason"] or "waits").replace("-", " ")


def _balance_row(one: dict[str, Any]) -> tuple[object, ...]:
    owed = f"{'-' if one['owed_s'] < 0 else ''}{screen.duration(abs(one['owed_s']))}"
    return (
        one["project"],
        screen.number(one["weight"]),
        f"{one['share']:.1%}",
        owed,
        one["executions"],
        one["waiting"],
    )
