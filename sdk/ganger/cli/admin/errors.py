"""`ganger errors`: what failures are called, and which of them deserve another try."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ganger.cli import screen
from ganger.cli.admin.fields import given, print_changed
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.documents import JsonObject
from ganger.errors import UsageError

errors = typer.Typer(help="List, add, change named errors.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "CATEGORY", "RETRIED", "BUILT IN", "PROJECT", "TITLE")

Title = Annotated[str | None, typer.Option(help="One line for people.")]
Category = Annotated[
    Literal["DATA", "ALGORITHM"] | None, typer.Option(help="Whose fault: the input's or the program's.")
]
Owner = Annotated[
    str | None, typer.Option("--project", help="The project that owns it. Default: your token's, else all projects'.")
]
Retried = Annotated[bool | None, typer.Option("--retry/--no-retry", help="Whether a try that ended so is repeated.")]


@errors.command("list")
@expanded
def list_errors(*, as_json: Json = False, connection: Connection) -> None:
    """List named errors, the built-in ones included.

    [bold]ganger errors[/]
    """
    with connection.client() as api:
        documents = [error.document for error in api.errors.list()]
    if as_json:
        for error in documents:
            screen.line(error)
    else:
        screen.table(HEADINGS, map(_row, documents), empty="no errors")


@errors.command("add")
@expanded
def add_error(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As job types map exit codes to it.")],
    *,
    title: Title = None,
    category: Category = "ALGORITHM",
    retried: Retried = True,
    description: Annotated[str, typer.Option(help="What it means, for people.")] = "",
    project: Owner = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Add an error that job types can map exit codes to.

    [bold]ganger errors add bad-projection --category DATA --no-retry[/]
    """
    facts = given(
        title=title or name, category=category, should_be_retried=retried, description=description, project=project
    )
    with connection.client() as api:
        made = api.errors.create(name, facts)
    print_changed(made.document, f"error {name} added", as_json=as_json)


@errors.command("change")
@expanded
def change_error(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The error's name.")],
    *,
    title: Title = None,
    category: Category = None,
    retried: Retried = None,
    description: Annotated[str | None, typer.Option(help="What it means, for people.")] = None,
    project: Owner = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Change an error that is not built in.

    [bold]ganger errors change bad-projection --retry[/]
    """
    changes = given(title=title, category=category, should_be_retried=retried, description=description)
    if not changes:
        raise UsageError("say what to change: --title, --category, --retry, --no-retry or --description")
    with connection.client() as api:
        found = [error.document for error in api.errors.list(name=name, project=project)]
        # A project's own error is the one that it means.
        error_id = next((one["id"] for one in sorted(found, key=lambda one: one["project"] is None)), None)
        if error_id is None:
            raise UsageError(f"there is no error {name!r}; `ganger errors` lists them")
        changed = api.errors.change(error_id, changes)
    print_changed(changed.document, f"error {name} changed", as_json=as_json)


def _row(error: JsonObject) -> tuple[object, ...]:
    retried, built_in = ("yes" if error[name] else "no" for name in ("should_be_retried", "is_builtin"))
    return (error["id"], error["name"], error["category"], retried, built_in, error["project"] or "all", error["title"])
