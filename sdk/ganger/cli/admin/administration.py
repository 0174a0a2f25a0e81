"""`ganger projects` and `ganger errors`: who shares the machines, and what failures are called."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ganger.cli import connection, screen
from ganger.cli.options import Json, ListByDefault, StateDir, Token, Url
from ganger.errors import UsageError

projects = typer.Typer(help="List, make, limit, pause projects.", cls=ListByDefault)
errors = typer.Typer(help="List, add, change named errors.", cls=ListByDefault)

_SMALL_LAG_S = 30.0
"""What a project is owed below that is not worth a word: it would be 0 minutes."""

PROJECT_HEADINGS = ("NAME", "WEIGHT", "USAGE", "OWED", "QUOTA", "STATE", "TITLE")
ERROR_HEADINGS = ("ID", "NAME", "CATEGORY", "RETRIED", "BUILT IN", "TITLE")

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
Category = Annotated[
    Literal["DATA", "ALGORITHM"] | None, typer.Option(help="Whose fault: the input's or the program's.")
]
Retried = Annotated[bool | None, typer.Option("--retry/--no-retry", help="Whether a try that ended so is repeated.")]
QUOTAS = ("queued_jobs", "jobs", "cpus", "mem")


@projects.command("list")
def list_projects(*, as_json: Json = False, url: Url = None, token: Token = None, state_dir: StateDir = None) -> None:
    """List projects with their share and their limits."""
    with connection.client(url, token, state_dir) as api:
        found = [one.document for one in api.projects.list()]
    if as_json:
        for one in found:
            screen.line(one)
    else:
        screen.table(PROJECT_HEADINGS, map(_project_row, found), empty="no projects")


@projects.command("create")
def create_project(
    name: ProjectName,
    *,
    title: Title = None,
    weight: Weight = None,
    quota: Quota = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Make a project.

    [bold]ganger projects create maps --weight 2 --quota queued_jobs=10000[/]
    """
    with connection.client(url, token, state_dir) as api:
        made = api.projects.create(name, _facts(title=title, weight=weight, quota=_quota(quota)))
    _tell(made.document, f"project {name} made", as_json=as_json)


@projects.command("change")
def change_project(
    name: ProjectName,
    *,
    title: Title = None,
    weight: Weight = None,
    quota: Quota = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Change a project's title, weight or limits; what is not named stays.

    [bold]ganger projects change maps --quota cpus=64 --quota mem=none[/]
    """
    changes = _facts(title=title, weight=weight, quota=_quota(quota))
    if not changes:
        raise UsageError("say what to change: --title, --weight or --quota")
    with connection.client(url, token, state_dir) as api:
        changed = api.projects.change(name, changes)
    _tell(changed.document, f"project {name} changed", as_json=as_json)


@projects.command("pause")
def pause_project(
    name: ProjectName,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the others.")] = "paused by hand",
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Start no more jobs of a project; they are accepted and wait."""
    with connection.client(url, token, state_dir) as api:
        api.projects.change(name, {"is_paused": True, "pause_reason": reason})
    screen.say(f"project {name} paused")


@projects.command("resume")
def resume_project(name: ProjectName, *, url: Url = None, token: Token = None, state_dir: StateDir = None) -> None:
    """Start jobs of a project again."""
    with connection.client(url, token, state_dir) as api:
        api.projects.change(name, {"is_paused": False})
    screen.say(f"project {name} resumed")


@projects.command("delete")
def delete_project(name: ProjectName, *, url: Url = None, token: Token = None, state_dir: StateDir = None) -> None:
    """Delete a project that nothing belongs to."""
    with connection.client(url, token, state_dir) as api:
        api.projects.delete(name)
    screen.say(f"project {name} deleted")


@errors.command("list")
def list_errors(*, as_json: Json = False, url: Url = None, token: Token = None, state_dir: StateDir = None) -> None:
    """List named errors, the built-in ones included."""
    with connection.client(url, token, state_dir) as api:
        found = [one.document for one in api.errors.list()]
    if as_json:
        for one in found:
            screen.line(one)
    else:
        screen.table(ERROR_HEADINGS, map(_error_row, found), empty="no errors")


@errors.command("add")
def add_error(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As job types map exit codes to it.")],
    *,
    title: Title = None,
    category: Category = "ALGORITHM",
    retried: Retried = True,
    description: Annotated[str, typer.Option(help="What it means, for people.")] = "",
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Add an error that job types can map exit codes to.

    [bold]ganger errors add bad-projection --category DATA --no-retry[/]
    """
    facts = {"title": title or name, "category": category, "should_be_retried": retried, "description": description}
    with connection.client(url, token, state_dir) as api:
        made = api.errors.create(name, facts)
    _tell(made.document, f"error {name} added", as_json=as_json)


@errors.command("change")
def change_error(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The error's name.")],
    *,
    title: Title = None,
    category: Category = None,
    retried: Retried = None,
    description: Annotated[str | None, typer.Option(help="What it means, for people.")] = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Change an error that is not built in."""
    changes = _facts(title=title, category=category, should_be_retried=retried, description=description)
    if not changes:
        raise UsageError("say what to change: --title, --category, --retry, --no-retry or --description")
    with connection.client(url, token, state_dir) as api:
        found = next((one.document["id"] for one in api.errors.list(name=name)), None)
        if found is None:
            raise UsageError(f"there is no error {name!r}; `ganger errors` lists them")
        changed = api.errors.change(found, changes)
    _tell(changed.document, f"error {name} changed", as_json=as_json)


def _facts(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


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


def _tell(document: dict[str, Any], done: str, *, as_json: bool) -> None:
    if as_json:
        screen.document(document)
    else:
        screen.say(done)


def _project_row(one: dict[str, Any]) -> tuple[object, ...]:
    quota = ", ".join(f"{kind} {screen.number(most)}" for kind, most in one["quota"].items() if most is not None)
    state = f"paused ({one['pause_reason']})" if one["is_paused"] else "active"
    owed = f"{one['lag_s'] / 60:+.0f} min" if abs(one["lag_s"]) >= _SMALL_LAG_S else ""
    return (one["name"], screen.number(one["weight"]), f"{one['usage']:.1%}", owed, quota, state, one["title"])


def _error_row(one: dict[str, Any]) -> tuple[object, ...]:
    retried, built_in = ("yes" if one[name] else "no" for name in ("should_be_retried", "is_builtin"))
    return (one["id"], one["name"], one["category"], retried, built_in, one["title"])
