"""`ganger files`: list, send and fetch files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import job_ids, screen
from ganger.cli.connection import Connection
from ganger.cli.data import fetching
from ganger.cli.failures import FAILED
from ganger.cli.jobs.selection import JobFilters, of_options
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, File

files = typer.Typer(help="List, send and fetch files: inputs and outputs of jobs.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "JOB", "SIZE", "MEDIA TYPE", "SHA-256", "CREATED")
IDS_PER_CALL = 100


@files.command("list")
@expanded
def list_files(
    *,
    job: Annotated[int | None, typer.Option(min=1, help="Only outputs of this job.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List files, the newest first.

    [bold]ganger files list --job 12[/]
    """
    with connection.client() as api:
        if job is not None:
            api.jobs.get(job)  # one that does not exist is an error, no empty answer
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
    file_ids: Annotated[list[int] | None, typer.Argument(metavar="FILE...", min=1, help="Ids of files.")] = None,
    *,
    jobs: Annotated[
        list[str] | None,
        typer.Option("--job", metavar="JOB", help="All outputs of this job; - reads ids from standard input."),
    ] = None,
    which: JobFilters,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="A path, or a folder with / at its end; - is standard output. Default: here."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there with other content.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Fetch files by id, or all outputs of jobs; each is checked by its SHA-256.

    What is here already is not fetched again, so a fetch that was cut off goes on. Files of several jobs that share a
    name lie in a folder for each job.

    [bold]ganger files get 7 -o airports.kml[/]

    [bold]ganger files get --job 12[/]

    [bold]ganger files get --label run=7 -o results/[/]
    """
    with connection.client() as api, of_options():
        if output == "-":
            _to_standard_output(api, file_ids or [])
            return
        found = _chosen(api, file_ids or [], jobs or [], which)
        if len(found) == 1 and file_ids:
            paths = {found[0].id: fetching.target(found[0], output)}
        else:
            paths = dict(fetching.layout(found, Path(output or ".")))
        fetched = fetching.fetch(api, paths, found, force=force)
    for each in fetched:
        if as_json:
            screen.line({**each.file.document, "path": str(each.path)})
        else:
            screen.text(str(each.path))
    if len(fetched) > 1 and not as_json:
        here = sum(not each.is_new for each in fetched)
        screen.note(
            f"{screen.many(len(fetched) - here, 'file')} fetched" + (f", {here} were here already" if here else "")
        )


def _to_standard_output(api: Client, file_ids: Sequence[int]) -> None:
    if not file_ids:
        raise UsageError("which file? --output - is for files by id")
    for file_id in file_ids:
        with api.files.open(file_id) as pieces:
            for piece in pieces:
                typer.get_binary_stream("stdout").write(piece)


def _chosen(api: Client, file_ids: Sequence[int], jobs: Sequence[str], which: JobFilters) -> list[File]:
    """Return the files by id, or the outputs of the jobs that are meant. Raises UsageError for several ways at once, and for none."""
    filters = which.query()
    if sum(map(bool, (file_ids, jobs, filters))) != 1:
        raise UsageError("which files? give their ids, or --job, or options that choose jobs such as --label run=7")
    if file_ids:
        return [api.files.get(file_id) for file_id in dict.fromkeys(file_ids)]
    ids = (
        job_ids.job_ids(jobs)
        if jobs
        else [job.id for job in api.jobs.list(limit=None, page_size=1000, order="id", **filters)]
    )
    for job_id in ids if jobs else ():
        api.jobs.get(job_id)  # one that does not exist is an error, no empty answer
    found = [file for some in _parts(ids) for file in api.files.list(job_id=some, page_size=1000, order="id")]
    if not found:
        screen.note(f"ganger: {screen.many(len(ids), 'job')}, and no outputs")
        raise typer.Exit(FAILED)
    return found


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), IDS_PER_CALL):
        yield ids[begin : begin + IDS_PER_CALL]


def _row(file: File) -> tuple[object, ...]:
    return (
        file.id,
        file.file_name,
        file.job_id or "",
        screen.size(file.file_size),
        file.media_type,
        file.sha256,
        screen.moment(file.created),
    )
