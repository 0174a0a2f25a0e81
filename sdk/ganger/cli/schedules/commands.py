"""`ganger schedule`: jobs and workflows that start by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import orjson
import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.cli.workflows.commands import Assets, Inputs, Parameters, given_files, given_inputs, given_values
from ganger.documents import JsonObject
from ganger.errors import UsageError
from ganger.records import Record

schedule = typer.Typer(help="Let jobs and workflows start by themselves.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "PROJECT", "WHEN", "ZONE", "PAUSED", "NEXT")
FIRINGS = ("TIME", "KIND", "OUTCOME", "JOB", "WORKFLOW", "STATUS", "REASON")

ScheduleId: TypeAlias = Annotated[int, typer.Argument(min=1, metavar="SCHEDULE", help="Its id.")]
Cron: TypeAlias = Annotated[str | None, typer.Option(help="Five fields, or @daily and the like.")]
Every: TypeAlias = Annotated[str | None, typer.Option(help="Elapsed time between runs, such as 15m.")]
At: TypeAlias = Annotated[list[str] | None, typer.Option(help="A time with its zone; repeatable.")]
Zone: TypeAlias = Annotated[
    str | None, typer.Option(help="Zone of the clocks that cron means, such as Europe/Berlin or UTC.")
]


@schedule.command("create")
@expanded
def create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    command: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", help="The program that runs.")] = None,
    *,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: Zone = None,
    job: Annotated[str | None, typer.Option(help="The job as JSON, instead of a command.")] = None,
    workflow: Annotated[
        str | None, typer.Option(help="A saved workflow instead: NAME, or NAME:2 for a revision of it.")
    ] = None,
    given: Inputs = None,
    parameter: Parameters = None,
    asset: Assets = None,
    project: Annotated[str | None, typer.Option(help="The project it belongs to.")] = None,
    overlap: Annotated[str | None, typer.Option(help="skip, queue, queue_all, cancel or allow.")] = None,
    catch_up: Annotated[str | None, typer.Option(help="none, last or all.")] = None,
    jitter: Annotated[int | None, typer.Option(min=0, help="Seconds by which runs are spread.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a schedule.

    [bold]ganger schedule create nightly --cron @daily --zone UTC -- backup --all[/]

    [bold]ganger schedule create hourly --every 1h --workflow airports -i limit=5[/]
    """
    more = {"overlap": overlap, "catch_up": catch_up, "jitter_s": jitter}
    timing = _timing(cron, every, at, zone) | {key: value for key, value in more.items() if value is not None}
    of_project: dict[str, object] = {"project": project} if project else {}
    if workflow is None:
        if given or parameter or asset:
            raise UsageError("-i, -p and -a are for --workflow")
        with connection.client() as api:
            _show(api.schedules.create(name, _job(command, job) | of_project, timing), as_json=as_json)
        return
    if command or job is not None:
        raise UsageError("give one of a command, --job and --workflow")
    with connection.client() as api:
        parts = {
            "inputs": given_inputs(api, given, project),
            "parameters": given_values(parameter, "--param"),
            "assets": given_files(api, asset, project),
        }
        wanted = {"type": workflow, **of_project, **{key: value for key, value in parts.items() if value}}
        _show(api.schedules.create(name, timing=timing, workflow=wanted), as_json=as_json)


@schedule.command("list")
@expanded
def list_schedules(*, as_json: Json = False, connection: Connection) -> None:
    """List schedules by name.

    [bold]ganger schedule list[/]
    """
    with connection.client() as api:
        found = api.schedules.list()
        if as_json:
            for one in found:
                screen.line(one.document)
            return
        screen.table(HEADINGS, (_row(one) for one in found), empty="no schedules")


@schedule.command("show")
@expanded
def show(schedule_id: ScheduleId, *, as_json: Json = False, connection: Connection) -> None:
    """Show a schedule, and what became of its last times.

    [bold]ganger schedule show 3[/]
    """
    with connection.client() as api:
        found, firings = api.schedules.get(schedule_id), list(api.schedules.firings(schedule_id, limit=20))
    if as_json:
        screen.document({**found.document, "firings": [one.document for one in firings]})
        return
    _show(found, as_json=False)
    names = ("nominal", "kind", "outcome", "job", "workflow", "status", "reason")
    screen.table(FIRINGS, ([one.document[name] for name in names] for one in firings), empty="nothing was due yet")


@schedule.command("next")
@expanded
def preview(
    *,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: Zone = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show the next five times, and what a change of clocks among them does. Nothing is made.

    [bold]ganger schedule next --cron '30 2 * * *' --zone Europe/Berlin[/]
    """
    with connection.client() as api:
        found = api.schedules.preview(_timing(cron, every, at, zone))
    if as_json:
        screen.document(found)
        return
    for line in _times(found):
        screen.text(line)


@schedule.command("pause")
@expanded
def pause(
    schedule_id: ScheduleId,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for the others.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Pause a schedule: what is due meanwhile is not made.

    [bold]ganger schedule pause 3 --reason "disk is replaced"[/]
    """
    with connection.client() as api:
        _show(api.schedules.change(schedule_id, {"is_paused": True, "pause_reason": reason}), as_json=as_json)


@schedule.command("resume")
@expanded
def resume(
    schedule_id: ScheduleId,
    *,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Make up for what was due during the pause.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Let a paused schedule go on.

    [bold]ganger schedule resume 3[/]
    """
    with connection.client() as api:
        _show(api.schedules.change(schedule_id, {"is_paused": False, "catch_up": catch_up}), as_json=as_json)


@schedule.command("trigger")
@expanded
def trigger(
    schedule_id: ScheduleId,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also while a run is live.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a run now.

    [bold]ganger schedule trigger 3[/]
    """
    with connection.client() as api:
        made = api.schedules.trigger(schedule_id, force=force)
    if as_json:
        screen.document(made)
    else:
        kind = next((one for one in ("job", "workflow") if made[one]), None)
        screen.text(f"{kind} {made[kind]}" if kind else f"nothing was made: {made['reason']}")


@schedule.command("backfill")
@expanded
def backfill(
    schedule_id: ScheduleId,
    *,
    start: Annotated[str, typer.Option("--from", help="The first time, with its zone.")],
    end: Annotated[str, typer.Option("--to", help="The last one.")],
    max_live: Annotated[int, typer.Option(min=1, help="So many at once.")] = 1,
    newest: Annotated[bool, typer.Option("--newest-first", help="Backwards.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which times.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make runs for times that are past.

    [bold]ganger schedule backfill 3 --from 2026-11-01T00:00Z --to 2026-11-08T00:00Z[/]
    """
    order = "newest" if newest else "oldest"
    with connection.client() as api:
        found = api.schedules.backfill(
            schedule_id, {"from": start, "to": end, "max_live": max_live, "order": order, "dry_run": dry_run}
        )
    if as_json:
        screen.document(found)
    else:
        screen.text(f"{screen.many(found['count'], 'time')}{', none of them made' if dry_run else ''}")


@schedule.command("delete")
@expanded
def delete(schedule_id: ScheduleId, *, connection: Connection) -> None:
    """Delete a schedule; the jobs and workflows that it made stay.

    [bold]ganger schedule delete 3[/]
    """
    with connection.client() as api:
        api.schedules.delete(schedule_id)


def _timing(cron: str | None, every: str | None, at: list[str] | None, zone: str | None) -> dict[str, object]:
    if cron is not None and zone is None:
        raise UsageError("--cron needs --zone: whose clocks are meant, such as --zone Europe/Berlin or --zone UTC")
    given = {"cron": cron, "every": every, "at": at or None, "zone": zone}
    return {key: value for key, value in given.items() if value is not None}


def _job(command: list[str] | None, job: str | None) -> dict[str, object]:
    if (job is None) == (not command):
        raise UsageError("give a command behind --, --job with JSON, or --workflow with the name of a saved one")
    if job is None:
        return {"command": command}
    try:
        found = orjson.loads(job)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--job is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError("--job is no JSON object")
    return found


def _row(record: Record) -> list[object]:
    one = record.document
    following = one["next"]
    when = one["cron"] or one["every"] or screen.many(len(one["at"] or ()), "time")
    return [
        one["id"],
        one["name"],
        one["project"],
        when,
        one["zone"],
        "yes" if one["is_paused"] else "",
        following[0]["local"] if following else "",
    ]


def _show(record: Record, *, as_json: bool) -> None:
    one = record.document
    if as_json:
        screen.document(one)
        return
    screen.text(
        f"schedule {one['id']}, {one['name']}: " + (f"paused ({one['pause_reason']})" if one["is_paused"] else "next")
    )
    for line in _times(one):
        screen.text(line)


def _times(found: JsonObject) -> Iterator[str]:
    for one in found["next"]:
        yield f"  {one['local']}   {one['utc']}"
    if found["clock_change"]:
        yield f"  {found['clock_change']}"
