"""`ganger workflow save, saved, text, forget`: definitions that are run by a name, and their revisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ganger.cli import screen
from ganger.cli.connection import SUBMIT_PATIENCE_S, Connection
from ganger.cli.options import Json, expanded
from ganger.cli.workflows.commands import DefinitionFile, definition_text, workflow
from ganger.documents import JsonObject
from ganger.errors import NotFound

if TYPE_CHECKING:
    from ganger import Client

HEADINGS = ("ID", "NAME", "PROJECT", "REVISION", "SAVED")
REVISIONS = ("REVISION", "SAVED", "BY")

TypeName: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="The name that it was saved under.")]
Project: TypeAlias = Annotated[str | None, typer.Option(help="The project that it belongs to.")]


@workflow.command("save")
@expanded
def save(
    name: TypeName, file: DefinitionFile, *, project: Project = None, as_json: Json = False, connection: Connection
) -> None:
    """Save a definition under a name, to be run by it; under a name that is there it is the next revision. Runs keep theirs.

    [bold]ganger workflow save airports airports.yaml[/]

    [bold]ganger workflow run --type airports[/]
    """
    with connection.client(patience_s=SUBMIT_PATIENCE_S) as api:
        found = api.workflows.save(name, definition_text(file), project=project)
    if as_json:
        screen.document(found)
    else:
        screen.text(f"{found['name']}:{found['revision']}")


@workflow.command("saved")
@expanded
def saved(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show the revisions of this one.")] = None,
    *,
    project: Project = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List saved definitions, or the revisions of one.

    [bold]ganger workflow saved airports[/]
    """
    with connection.client() as api:
        found = api.workflows.types() if name is None else api.workflows.revisions(_meant(api, name, project)["id"])
        if as_json:
            for one in found:
                screen.line(one)
        elif name is None:
            mine = (one for one in found if project in {None, one["project"]})
            screen.table(HEADINGS, (_row(one) for one in mine), empty="no saved definitions")
        else:
            screen.table(REVISIONS, (_revision_row(one) for one in found), empty="")


@workflow.command("text")
@expanded
def text(
    name: TypeName,
    *,
    revision: Annotated[int | None, typer.Option(min=1, help="Default: the newest.")] = None,
    project: Project = None,
    connection: Connection,
) -> None:
    """Print the text of a saved definition.

    [bold]ganger workflow text airports --revision 1 > airports.yaml[/]
    """
    with connection.client() as api:
        found = api.workflows.type(_meant(api, name, project)["id"], revision)
    screen.text(str(found["definition"]).rstrip("\n"))


@workflow.command("forget")
@expanded
def forget(name: TypeName, *, project: Project = None, connection: Connection) -> None:
    """Let nobody run a saved definition any more. Its runs and revisions stay; saving it again brings it back.

    [bold]ganger workflow forget airports[/]
    """
    with connection.client() as api:
        api.workflows.archive(_meant(api, name, project)["id"])


def _meant(api: Client, name: str, project: str | None) -> JsonObject:
    found = [one for one in api.workflows.types(name=name) if project in {None, one["project"]}]
    if not found:
        raise NotFound(f"there is no saved workflow {name!r}; ganger workflow saved lists them", status=404)
    return found[0]


def _row(one: JsonObject) -> Sequence[object]:
    saved_at = screen.moment(datetime.fromisoformat(one["last_modified"]))
    return (one["id"], one["name"], one["project"], one["revision"], saved_at)


def _revision_row(one: JsonObject) -> Sequence[object]:
    return (one["revision"], screen.moment(datetime.fromisoformat(one["created"])), one["created_by"] or "")
