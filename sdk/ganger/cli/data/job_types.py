"""`ganger types`: the templates that jobs are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen, streams, times
from ganger.cli.connection import Connection
from ganger.cli.data import editing
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.documents import JsonObject
from ganger.errors import Refused, UsageError

if TYPE_CHECKING:
    from ganger import Client, JobType

types = typer.Typer(help="List, show, measure, add, edit, replace, check, pause, archive job types.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "VERSION", "REVISION", "PROJECT", "STATE", "TITLE")
INTERFACE_HEADINGS = ("", "NAME", "TYPE", "REQUIRED", "MORE")
TypeName = Annotated[
    str, typer.Argument(metavar="TYPE[:VERSION]", help="Name, and version; default: the newest active.")
]
Owner = Annotated[
    str | None, typer.Option("--project", help="The project that owns it. Default: your token's, else all projects'.")
]
Definition = Annotated[Path, typer.Argument(metavar="FILE", help="A job type as JSON; - is standard input.")]


@types.command("list")
@expanded
def list_types(*, as_json: Json = False, connection: Connection) -> None:
    """List job types.

    [bold]ganger types[/]
    """
    with connection.client() as api:
        listed = api.job_types.list()
        if as_json:
            for job_type in listed:
                screen.line(job_type.document)
            return
        screen.table(HEADINGS, (_row(job_type) for job_type in listed), empty="no job types")


@types.command("show")
@expanded
def show(
    name: TypeName,
    *,
    project: Owner = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show a job type: its command, what it takes and gives, what it needs.

    [bold]ganger types show kml-footprint[/]
    """
    with connection.client() as api:
        job_type = resolve(api, name, project)
    if as_json:
        screen.document(job_type.document)
        return
    document = job_type.document
    screen.fields(
        {
            "type": f"{job_type.name}:{job_type.version}",
            "project": job_type.project or ALL,
            "title": job_type.title,
            "description": job_type.description or None,
            "state": _state(job_type),
            **{name.replace("_", " "): _shown(document.get(name)) for name in SHOWN},
        }
    )
    rows = [
        (kind[:-5], entry["name"], entry.get("type"), entry.get("required", True), _more(entry))
        for kind in ("input_data", "output_data")
        for entry in (job_type.interface or {}).get(kind) or []
    ]
    if rows:
        screen.heading("Interface")
        screen.table(INTERFACE_HEADINGS, rows, empty="")


@types.command("stats")
@expanded
def stats(
    name: TypeName,
    *,
    since: Annotated[
        str | None, typer.Option(help="Of tries since: 3d, yesterday, 2026-11-22; default: 30 days.")
    ] = None,
    project: Owner = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show what a job type's latest tries came to: waits, run times, errors, and memory and cpus asked and used.

    [bold]ganger types stats kml-footprint --since 7d[/]
    """
    started = datetime.fromisoformat(times.past(since, "--since")) if since else None
    with connection.client() as api:
        found = api.job_types.statistics(resolve(api, name, project).id, started=started)
    if as_json:
        screen.document(found)
        return
    memory, cpus = found["memory"], found["cpus"]
    screen.fields(
        {
            "tries": found["runs"],
            "ended": ", ".join(f"{status} {count}" for status, count in found["by_status"].items()) or None,
            "errors": ", ".join(f"{error} {count}" for error, count in found["by_error"].items()) or None,
            "waited": _quantiles(found["wait_s"], " s"),
            "ran": _quantiles(found["run_s"], " s"),
            "memory used": _quantiles(memory["used"], " MiB"),
            "memory asked": f"{memory['asked']:g} MiB" if memory["asked"] is not None else None,
            "memory would do": f"{memory['suggested']:g} MiB" if memory["suggested"] is not None else None,
            "cpus used": _quantiles(cpus["used"], ""),
            "cpus asked": cpus["asked"],
            "cpu hours": ", ".join(f"{what} {hours:.3g}" for what, hours in cpus["hours"].items()) or None,
        }
    )


@types.command("add")
@expanded
def add(
    definition: Definition,
    *,
    update: Annotated[bool, typer.Option("--update", help="Change the type if name and version exist.")] = False,
    project: Owner = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Add a job type from a JSON file. With the token of one project it is that project's.

    [bold]ganger types add deploy/examples/kml-footprint/job-type.json[/]

    [bold]ganger types add --project maps render.json[/]
    """
    body = read_definition(definition) | ({} if project is None else {"project": project})
    with connection.client() as api:
        job_type = put(api, body) if update else api.job_types.create(body)
    print_written(job_type, as_json=as_json)


@types.command("replace")
@expanded
def replace(definition: Definition, *, as_json: Json = False, connection: Connection) -> None:
    """Let a job type be exactly what a JSON file says, made if it is not there; what the file leaves out takes its default.

    Jobs keep the revision that they were made with. `add --update` changes only what the file names.

    [bold]ganger types replace job-type.json[/]
    """
    body = read_definition(definition)
    with connection.client() as api:
        job_type = api.job_types.replace(body)
    print_written(job_type, as_json=as_json)


@types.command("edit")
@expanded
def edit(name: TypeName, *, as_json: Json = False, connection: Connection) -> None:
    """Change a job type in your editor ($VISUAL, $EDITOR): it opens as JSON, and what you change is changed.

    [bold]ganger types edit kml-footprint:1.0[/]
    """
    with connection.client() as api:
        job_type = resolve(api, name)
        changes = editing.edited(job_type.document)
        if changes is None:
            screen.note("nothing was changed")
            return
        try:
            job_type = api.job_types.change(job_type.id, changes.fields)
        except Refused as error:
            raise UsageError(f"{error}; what you wrote is kept in {changes.keep()}") from error
    print_written(job_type, as_json=as_json)


@types.command("archive")
@expanded
def archive(name: TypeName, *, connection: Connection) -> None:
    """Take a job type out of use: no new jobs are made of it. Its jobs, also those that wait, are not touched.

    [bold]ganger types archive kml-footprint:1.0.0[/]
    """
    with connection.client() as api:
        job_type = api.job_types.change(resolve(api, name).id, {"is_active": False})
    screen.text(f"{job_type.name}:{job_type.version} archived")


@types.command("restore")
@expanded
def restore(
    name: Annotated[str, typer.Argument(metavar="TYPE:VERSION", help="Name and version.")], *, connection: Connection
) -> None:
    """Take an archived job type into use again.

    [bold]ganger types restore kml-footprint:1.0.0[/]
    """
    kind, _, version = name.partition(":")
    if not version:
        raise UsageError(f"say which version of {kind}, as in {kind}:1.0; `ganger types list` shows what there is")
    with connection.client() as api:
        job_type = api.job_types.change(api.job_types.get(kind, version).id, {"is_active": True})
    screen.text(f"{job_type.name}:{job_type.version} restored")


@types.command("check")
@expanded
def check(
    definition: Definition,
    *,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Check a job type without storing it.

    [bold]ganger types check job-type.json[/]
    """
    body = read_definition(definition)
    with connection.client() as api:
        result = api.job_types.validate(body)
    errors, warnings = result.get("errors") or [], result.get("warnings") or []
    if as_json:
        screen.document(result)
    else:
        for kind, entries in (("error", errors), ("warning", warnings)):
            for entry in entries:
                screen.text(f"{kind}\t{entry.get('description', entry) if isinstance(entry, dict) else entry}")
        if not errors:
            screen.note("it can be added")
    raise typer.Exit(1 if errors else 0)


@types.command("pause")
@expanded
def pause(
    name: TypeName,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the others.")] = "paused by hand",
    project: Owner = None,
    connection: Connection,
) -> None:
    """Start no more jobs of this type; they are accepted and wait.

    [bold]ganger types pause kml-footprint --reason "bad tables"[/]
    """
    with connection.client() as api:
        job_type = api.job_types.change(resolve(api, name, project).id, {"is_paused": True, "pause_reason": reason})
    screen.text(f"{job_type.name}:{job_type.version} paused")


@types.command("resume")
@expanded
def resume(name: TypeName, *, project: Owner = None, connection: Connection) -> None:
    """Start jobs of this type again.

    [bold]ganger types resume kml-footprint[/]
    """
    with connection.client() as api:
        job_type = api.job_types.change(resolve(api, name, project).id, {"is_paused": False})
    screen.text(f"{job_type.name}:{job_type.version} resumed")


ALL = "all"
"""As a type's project: it is the installation's."""

SHOWN = (
    "pre_command",
    "command", "post_command", "cpus_required", "mem_required", "disk_out_const_required", "timeout", "max_tries",
    "max_scheduled", "error_mapping",
)  # fmt: skip


def print_written(job_type: JobType, *, as_json: bool) -> None:
    """Print a type that was written: in full as JSON, else its name and version."""
    if as_json:
        screen.document(job_type.document)
    else:
        screen.text(f"{job_type.name}:{job_type.version}")


def _quantiles(points: Mapping[str, float], unit: str) -> str | None:
    """Return quantiles as people read them: half of them at most, nine of ten, all but one of a hundred."""
    return ", ".join(f"{float(point):.0%} within {value:.3g}{unit}" for point, value in points.items()) or None


def resolve(api: Client, name: str, project: str | None = None) -> JobType:
    """Return the type meant by NAME or NAME:VERSION, in full. Raises NotFound, UsageError."""
    kind, _, version = name.partition(":")
    if version:
        return api.job_types.get(kind, version, project=project)
    newest = api.job_types.newest(kind, project=project)
    if newest is None:
        raise UsageError(f"there is no active job type {kind!r}; `ganger types list` shows what there is")
    return newest


def title(job_type: JobType) -> str:
    """Return name and version, as commands take them."""
    return f"{job_type.name}:{job_type.version}"


def put(api: Client, body: JsonObject) -> JobType:
    """Make a type, or bring the existing one of this name and version up to date; safe to repeat."""
    from ganger import Conflict  # noqa: PLC0415 - the connection has brought it anyway

    try:
        return api.job_types.create(body)
    except Conflict:
        existing = api.job_types.get(str(body.get("name")), str(body.get("version")), project=body.get("project"))
        changes = {name: value for name, value in body.items() if name not in {"name", "version", "project"}}
        return api.job_types.change(existing.id, changes)


def read_definition(path: Path) -> JsonObject:
    """Return a definition from a file. Raises UsageError saying where it is not JSON."""
    text = streams.read_text(path)
    try:
        body = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise UsageError(f"{path} does not hold a JSON object")
    return body


def _shown(value: object) -> str | None:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        value = value.get("exit_codes", value)
    return None if value is None or value == {} else str(value) if isinstance(value, str) else screen.compact(value)


def _row(job_type: JobType) -> tuple[object, ...]:
    owner, state = job_type.project or ALL, _state(job_type)
    return (job_type.id, job_type.name, job_type.version, job_type.revision_num, owner, state, job_type.title)


def _state(job_type: JobType) -> str:
    if not job_type.is_active:
        return "archived"
    return "paused" if job_type.is_paused else "active"


def _more(entry: JsonObject) -> str:
    details = {name: entry.get(name) for name in ("media_types", "media_type", "glob", "schema", "default")}
    return ", ".join(f"{name} {screen.compact(value)}" for name, value in details.items() if value)
