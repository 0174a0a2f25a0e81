"""`ganger secrets`: values that jobs of a project get as files. They go in by standard input or from a file, and never come out."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.errors import UsageError

secrets = typer.Typer(help="List, set, remove the secrets of a project.", cls=ListByDefault)

HEADINGS = ("NAME", "SET", "FIRST SET")
SecretName = Annotated[
    str, typer.Argument(metavar="NAME", help="The secret's name; jobs ask for it with --secret NAME.")
]
Project = Annotated[str, typer.Option(help="The project that the secret belongs to.")]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file", metavar="FILE", help="Take the value from a file, byte for byte, instead of standard input."
    ),
]


@secrets.command("list")
@expanded
def list_secrets(*, project: Project = "default", as_json: Json = False, connection: Connection) -> None:
    """List the secrets of a project: their names, and when they were set; never their values.

    [bold]ganger secrets --project maps[/]
    """
    with connection.client() as api:
        documents = [secret.document for secret in api.projects.secrets.list(project)]
    if as_json:
        for secret in documents:
            screen.line(secret)
    else:
        rows = ((one["name"], _moment(one["last_modified"]), _moment(one["created"])) for one in documents)
        screen.table(HEADINGS, rows, empty="no secrets")


@secrets.command("set")
@expanded
def set_secret(
    name: SecretName, *, project: Project = "default", from_file: FromFile = None, connection: Connection
) -> None:
    """Set a secret, new or anew. Its value comes from standard input or a file, never from the command line.

    From a terminal it is asked for and not shown. The line end after the value of standard input is not part of it.

    [bold]ganger secrets set db-password --project maps < password.txt[/]
    """
    value = _value(name, from_file)
    with connection.client() as api:
        api.projects.secrets.set(project, name, value)
    screen.text(f"secret {name} of project {project} set")


@secrets.command("remove")
@expanded
def remove_secret(name: SecretName, *, project: Project = "default", connection: Connection) -> None:
    """Remove a secret; jobs that ask for it fail from now on.

    [bold]ganger secrets remove api-key --project maps[/]
    """
    with connection.client() as api:
        api.projects.secrets.remove(project, name)
    screen.text(f"secret {name} of project {project} removed")


def _moment(when: object) -> str:
    return screen.moment(datetime.fromisoformat(str(when)))


def _value(name: str, path: Path | None) -> str:
    """Return the value. Raises UsageError for none, and for one that is no text."""
    if path is None and sys.stdin.isatty():
        value = str(typer.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True))
    else:
        body = sys.stdin.buffer.read() if path is None else path.read_bytes()
        try:
            value = body.decode()
        except UnicodeDecodeError as error:
            raise UsageError("the value of a secret is a text in UTF-8; encode anything else, as in base64") from error
        if path is None:
            value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError("the value is empty; it comes from standard input or --from-file FILE")
    return value
