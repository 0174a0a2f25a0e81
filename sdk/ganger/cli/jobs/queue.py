"""`ganger queue`: which jobs go next and why, and how projects stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, expanded
from ganger.documents import JsonObject
from ganger.errors import UsageError

HEADINGS = ("PLACE", "JOB", "NAME", "PROJECT", "PRIORITY", "WHAT NOW")
BALANCE_HEADINGS = ("PROJECT", "WEIGHT", "HOLDS", "IS OWED", "RUNS", "WAITS")
_ROWS = 24


@expanded
def queue(
    *,
    balance: Annotated[
        bool, typer.Option("--balance", help="How projects stand: what each holds and is owed.")
    ] = False,
    hours: Annotated[
        int | None, typer.Option("--hours", min=1, max=744, help="With --balance: over the last hours.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="At most so many jobs.")] = 20,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List the jobs that go next, in the order in which the scheduler looks at them.

    [bold]ganger queue -n 5[/]

    [bold]ganger queue --balance[/]

    [bold]ganger queue --balance --hours 24[/]
    """
    if hours is not None and not balance:
        raise UsageError("--hours goes with --balance")
    if hours is not None:
        _history(connection, hours, as_json=as_json)
        return
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


def _history(connection: Connection, hours: int, *, as_json: bool) -> None:
    with connection.client() as api:
        found = api.scheduler.balance_history(hours=hours)
    if as_json:
        for one in found:
            screen.line(one)
        return
    step = max(1, len(found[0]["points"]) // _ROWS) if found else 1
    rows = zip(*(one["points"][::-step] for one in found), strict=True)
    screen.table(
        ("TIME", *(one["project"] for one in found)),
        ((screen.moment(datetime.fromisoformat(row[0]["time"])), *(_owed(point) for point in row)) for row in rows),
        empty="nothing was recorded of any project",
    )


def _owed(one: Mapping[str, Any]) -> str:
    return f"{'-' if one['owed_s'] < 0 else ''}{screen.duration(abs(one['owed_s']))}"


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
    return (
        one["project"],
        screen.number(one["weight"]),
        f"{one['share']:.1%}",
        _owed(one),
        one["executions"],
        one["waiting"],
    )
