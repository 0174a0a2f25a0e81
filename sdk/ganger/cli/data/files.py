"""`ganger files`: list, send and fetch files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import File

files = typer.Typer(help="List, send and fetch files: inputs and outputs of jobs.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "SIZE", "MEDIA TYPE", "SHA-256", "CREATED")
FileId = Annotated[int, typer.Argument(metavar="FILE", min=1, help="The file's id.")]


@files.command("list")
@expanded
def list_files(
    *,
    job: Annotated[int | None, typer.Option(min=1, help="Only outputs of this job.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List files, the newest first."""
    with connection.client() as api:
        listed = api.files.list(limit=limit, page_size=min(limit, 1000), job_id=job, order="-id")
        if as_json:
            for file in listed:
                screen.line(file.document)
            return
        screen.table(HEADINGS, (_row(file) for file in listed), empty="no files")


@files.command("put")
@expanded
def put(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", exists=True, dir_okay=False, help="Files to send.")],
    *,
    media_type: Annotated[str | None, typer.Option(help="Media type; default: what the name suggests.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Send files and print their ids.

    [bold]ganger files put airports.csv[/]
    """
    with connection.client() as api:
        for path in paths:
            file = api.files.upload(path, media_type=media_type)
            if as_json:
                screen.line(file.document)
            elif screen.terminal():
                screen.text(f"file {file.id}  {file.file_name}  {screen.size(file.file_size)}  {file.sha256}")
            else:
                screen.text(str(file.id))


@files.command("get")
@expanded
def get(
    file_id: FileId,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; - is standard output. Default: its name, here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Fetch a file, checked by its SHA-256.

    [bold]ganger files get 7 -o airports.kml[/]
    """
    with connection.client() as api:
        if output == Path("-"):
            typer.get_binary_stream("stdout").write(api.files.read(file_id))
            return
        file = api.files.get(file_id)
        name = Path(file.file_name).name or f"file-{file_id}"  # a name is no path: it came from somebody else
        target = output / name if output is not None and output.is_dir() else output or Path(name)
        if target.exists() and not force:
            raise UsageError(f"{target} exists; replace it with --force, or choose another with --output")
        file = api.files.download(file_id, target)
    if as_json:
        screen.document({**file.document, "path": str(target)})
    else:
        screen.text(str(target))


def _row(file: File) -> tuple[object, ...]:
    return (
        file.id,
        file.file_name,
        screen.size(file.file_size),
        file.media_type,
        file.sha256,
        screen.moment(file.created),
    )
