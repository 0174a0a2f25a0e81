"""`ganger projects`: who shares the machines, and how much each may have."""

from __future__ import annotations

from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.admin.fields import given, print_changed
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.documents import JsonObject
from ganger.errors import UsageError

projects = typer.Typer(help="List, make, limit, pause projects.", cls=ListByDefault)

_SMALL_LAG_S = 30.0
"""A smaller debt to a project is not shown: it would read as 0 minutes."""

HEADINGS = ("NAME", "WEIGHT", "USAGE", "OWED", "QUOTA", "STATE", "TITLE")

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Title = Annotated[str | None, typer.Option(help="One line for people.")]
Weight = Annotated[float | None, typer.Option(help="Share of the machines, beside the other projects'; default 1.")]
Quota = Annotated[
    list[str] | None,
    typer.Option(
        "--quota",
        metavar="KIND=N",
        help="queued_jobs (waiting), jobs, cpus or mem in MiB (placed); N is a number or none; repeatable.",
    ),
]
QUOTAS = ("queued_jobs", "jobs", "cpus", "mem")


@projects.command("list")
@expanded
def list_projects(*, as_json: Json = False, connection: Connection) -> None:
    """List projects with their share and their limits."""
    with connection.client() as api:
        documents = [project.document for project in api.projects.list()]
    if as_json:
        for project in documents:
            screen.line(project)
    else:
        screen.table(HEADINGS, map(_row, documents), empty="no projects")


@projects.command("create")
@expanded
def create_project(
    name: ProjectName,
    *,
    title: Title = None,
    weight: Weight = None,
    quota: Quota = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a project.

    [bold]ganger projects create maps --weight 2 --quota queued_jobs=10000[/]
    """
    with connection.client() as api:
        made = api.projects.create(name, given(title=title, weight=weight, quota=_quota(quota)))
    print_changed(made.document, f"project {name} made", as_json=as_json)


@projects.command("change")
@expanded
def change_project(
    name: ProjectName,
    *,
    title: Title = None,
    weight: Weight = None,
    quota: Quota = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Change a project's title, weight or limits; what is not named stays.

    [bold]ganger projects change maps --quota cpus=64 --quota mem=none[/]
    """
    changes = given(title=title, weight=weight, quota=_quota(quota))
    if not changes:
        raise UsageError("say what to change: --title, --weight or --quota")
    with connection.client() as api:
        changed = api.projects.change(name, changes)
    print_changed(changed.document, f"project {name} changed", as_json=as_json)


@projects.command("pause")
@expanded
def pause_project(
    name: ProjectName,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the others.")] = "paused by hand",
    connection: Connection,
) -> None:
    """Start no more jobs of a project; they are accepted and wait."""
    with connection.client() as api:
        api.projects.change(name, {"is_paused": True, "pause_reason": reason})
    screen.text(f"project {name} paused")


@projects.command("resume")
@expanded
def resume_project(name: ProjectName, *, connection: Connection) -> None:
    """Start jobs of a project again."""
    with connection.client() as api:
        api.projects.change(name, {"is_paused": False})
    screen.text(f"project {name} resumed")


@projects.command("delete")
@expanded
def delete_project(name: ProjectName, *, connection: Connection) -> None:
    """Delete a project that nothing belongs to."""
    with connection.client() as api:
        api.projects.delete(name)
    screen.text(f"project {name} deleted")


def _quota(words: list[str] | None) -> dict[str, float | None] | None:
    """Return limits by kind, None for one that is taken away. Raises UsageError naming the word."""
    found: dict[str, float | None] = {}
    for word in words or ():
        kind, _, amount = word.partition("=")
        try:
            number = None if amount == "none" else float(amount)
        except ValueError:
            number, kind = None, ""
        if kind not in QUOTAS:
            raise UsageError(f"--quota takes {', '.join(QUOTAS)} with a number or none, as cpus=8; not {word!r}")
        found[kind] = int(number) if number is not None and number.is_integer() else number
    return found or None


def _row(project: JsonObject) -> tuple[object, ...]:
    quota = ", ".join(f"{kind} {screen.number(most)}" for kind, most in project["quota"].items() if most is not None)
    state = f"paused ({project['pause_reason']})" if project["is_paused"] else "active"
    owed = f"{project['lag_s'] / 60:+.0f} min" if abs(project["lag_s"]) >= _SMALL_LAG_S else ""
    return (
        project["name"],
        screen.number(project["weight"]),
        f"{project['usage']:.1%}",
        owed,
        quota,
        state,
        project["title"],
    )
