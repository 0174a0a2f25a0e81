"""`ganger data-sets`: columns in numbered versions, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.documents import JsonObject

data_sets = typer.Typer(help="List, look at, delete and restore data sets.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "PROJECT", "KIND", "VERSION", "BLOCKS", "CHANGED", "BY")
VERSION_HEADINGS = ("VERSION", "JOB", "COLUMNS", "CREATED", "BY", "COMMENT")

DataSetId = Annotated[int, typer.Argument(metavar="ID", help="The data set's number, as the list shows it.")]


@data_sets.command("list")
@expanded
def list_data_sets(
    *,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that were deleted.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List data sets, the last changed first.

    [bold]ganger data-sets[/]
    """
    with connection.client() as api:
        documents = [one.document for one in api.data_sets.list(is_deleted=deleted)]
    if as_json:
        for document in documents:
            screen.line(document)
    else:
        screen.table(HEADINGS, map(_row, documents), empty="no data sets")


@data_sets.command("versions")
@expanded
def list_versions(data_set_id: DataSetId, *, as_json: Json = False, connection: Connection) -> None:
    """List the versions of a data set, the newest first.

    [bold]ganger data-sets versions 3[/]
    """
    with connection.client() as api:
        documents = [one.document for one in api.data_sets.versions(data_set_id)]
    if as_json:
        for document in documents:
            screen.line(document)
    else:
        screen.table(VERSION_HEADINGS, map(_version, documents), empty="no versions yet")


@data_sets.command("delete")
@expanded
def delete_data_set(data_set_id: DataSetId, *, connection: Connection) -> None:
    """Delete a data set; `ganger data-sets restore` takes it back.

    [bold]ganger data-sets delete 3[/]
    """
    with connection.client() as api:
        api.data_sets.delete(data_set_id)
    screen.text(f"data set {data_set_id} is deleted; ganger data-sets restore {data_set_id} takes it back")


@data_sets.command("restore")
@expanded
def restore_data_set(data_set_id: DataSetId, *, connection: Connection) -> None:
    """Restore a deleted data set with all its versions.

    [bold]ganger data-sets restore 3[/]
    """
    with connection.client() as api:
        name = api.data_sets.restore(data_set_id).document["name"]
    screen.text(f"data set {data_set_id} ({name}) is restored")


def _row(one: JsonObject) -> list[Any]:
    blocks = " x ".join(str(count) for count in one["grid"]["blocks"])
    version = one["latest"] or "-"
    return [
        one["id"],
        one["name"],
        one["project"],
        one["kind"],
        version,
        blocks,
        one["last_modified"],
        one["modified_by"],
    ]


def _version(one: JsonObject) -> list[Any]:
    titles = ", ".join(column["title"] for column in one["columns"]) or "-"
    return [one["number"], one["job_id"], titles, one["created"], one["created_by"], one["comment"]]
