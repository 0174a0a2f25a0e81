"""`ganger projects`: who shares the machines, and how much each may have."""

from __future__ import annotations

from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.admin.fields import given, print_changed
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.cli.quantities import mebibytes, number
from ganger.documents import JsonObject
from ganger.errors import UsageError

projects = typer.Typer(help="List, make, limit, pause projects.", cls=ListByDefault)

_SMALL_LAG_S = 30.0
"""A smaller debt to a project is not shown: it would read as 0 minutes."""

HEADINGS = ("NAME", "WEIGHT", "USAGE", "OWED", "QUOTA", "STATE", "TITLE")

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Title = Annotated[str | None, typer.Option(help="One line for people.")]
Weight = Annotated[
    float | None,
    typer.Option(parser=number, metavar="NUMBER", help="Share of the machines, beside the other projects'; default 1."),
]
Quota = Annotated[
    list[str] | None,
    typer.Option(
        "--quota",
        metavar="KIND=N",
        help="queued_jobs (waiting), jobs, cpus or mem in MiB (placed); N is a number or none; repeatable.",
    ),
]
KEPT = (
    *("completed_days", "failed_days", "canceled_days", "jobs"),
    *("output_days", "output_bytes", "files_days", "files_bytes"),
)
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="WHAT=N",
        help="How long ended things are kept: completed_days, failed_days, canceled_days, jobs (the newest N), output_days, "
        "output_bytes, files_days or files_bytes; N is a whole number, forever, or default; repeatable.",
    ),
]
SecretType = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-type",
        metavar="TYPE",
        help="A job type of the installation that may name secrets of this project; repeatable; none: no type.",
    ),
]
QUOTAS = ("queued_jobs", "jobs", "cpus", "mem")


@projects.command("list")
@expanded
def list_projects(*, as_json: Json = False, connection: Connection) -> None:
    """List projects with their share and their limits.

    [bold]ganger projects[/]
    """
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
    keep: Keep = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a project.

    [bold]ganger projects create maps --weight 2 --quota queued_jobs=10000[/]
    """
    with connection.client() as api:
        made = api.projects.create(name, given(title=title, weight=weight, quota=_quota(quota), retention=_kept(keep)))
    print_changed(made.document, f"project {name} made", as_json=as_json)


@projects.command("change")
@expanded
def change_project(
    name: ProjectName,
    *,
    title: Title = None,
    weight: Weight = None,
    quota: Quota = None,
    keep: Keep = None,
    secret_type: SecretType = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Change a project's title, weight or limits; what is not named stays. An admin of the project changes title and types.

    [bold]ganger projects change maps --quota cpus=64 --quota mem=none[/]

    [bold]ganger projects change maps --keep completed_days=30[/]

    [bold]ganger projects change maps --secret-type backup --secret-type publish[/]
    """
    types = [] if secret_type == ["none"] else secret_type or None
    changes = given(title=title, weight=weight, quota=_quota(quota), retention=_kept(keep), secret_types=types)
    if not changes:
        raise UsageError("say what to change: --title, --weight, --quota, --keep or --secret-type")
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
    """Start no more jobs of a project; they are accepted and wait.

    [bold]ganger projects pause maps[/]
    """
    with connection.client() as api:
        api.projects.change(name, {"is_paused": True, "pause_reason": reason})
    screen.text(f"project {name} paused")


@projects.command("resume")
@expanded
def resume_project(name: ProjectName, *, connection: Connection) -> None:
    """Start jobs of a project again.

    [bold]ganger projects resume maps[/]
    """
    with connection.client() as api:
        api.projects.change(name, {"is_paused": False})
    screen.text(f"project {name} resumed")


@projects.command("delete")
@expanded
def delete_project(name: ProjectName, *, connection: Connection) -> None:
    """Delete a project that nothing belongs to.

    [bold]ganger projects delete maps[/]
    """
    with connection.client() as api:
        api.projects.delete(name)
    screen.text(f"project {name} deleted")


def _quota(words: list[str] | None) -> dict[str, float | None] | None:
    """Return limits by kind, None for one that is taken away. Raises UsageError naming the word."""
    found: dict[str, float | None] = {}
    for word in words or ():
        kind, _, amount = word.partition("=")
        try:
            limit = None if amount == "none" else _amount(kind, amount)
        except ValueError:
            limit, kind = None, ""
        if kind not in QUOTAS:
            raise UsageError(f"--quota takes {', '.join(QUOTAS)} with a number or none, as cpus=8; not {word!r}")
        found[kind] = int(limit) if limit is not None and limit.is_integer() else limit
    return found or None


def _kept(words: list[str] | None) -> dict[str, int | None] | None:
    """Return limits of retention by name: 0 for ever, None as the installation has it. Raises UsageError naming the word."""
    found: dict[str, int | None] = {}
    for word in words or ():
        what, _, amount = word.partition("=")
        if what not in KEPT or not (amount in {"forever", "default"} or amount.isdecimal()):
            raise UsageError(
                f"--keep takes {', '.join(KEPT)} with a whole number, forever or default, as completed_days=30; not {word!r}"
            )
        found[what] = None if amount == "default" else 0 if amount == "forever" else int(amount)
    return found or None


def _amount(kind: str, text: str) -> float:
    return mebibytes(text) if kind == "mem" else number(text)


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
