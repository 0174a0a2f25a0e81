"""`ganger upload`: files for a job that awaits them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import SUBMIT_PATIENCE_S, Connection
from ganger.cli.failures import FAILED
from ganger.cli.options import Json, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ganger import Job
    from ganger.endpoints.uploads import UploadProgress


@expanded
def upload(
    job_id: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The id of the job.", show_default=False)],
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=FILE...]", help="The awaited inputs, and what to send.")
    ] = None,
    *,
    media_type: Annotated[str | None, typer.Option(help="Media type; default: what the name suggests.")] = None,
    more: Annotated[
        bool, typer.Option("--more", help="More will follow: do not say yet that all is uploaded.")
    ] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Send the inputs that a job awaits, and say that they are uploaded, so that it is queued.

    What is there already is not sent again: after a break, the same command goes on where it was. The job is told when all that it
    awaits has come; without files it is told at once.

    [bold]ganger submit kml-footprint --await places[/]

    [bold]ganger upload 12 places=airports.csv[/]

    [bold]ganger upload 12 table=grid.csv --more[/]
    """
    from ganger.endpoints import uploads  # noqa: PLC0415 - whoever uploads has the client already

    wanted = _by_name(files or [])
    with connection.client(patience_s=SUBMIT_PATIENCE_S) as api:
        job = api.jobs.get(job_id)
        _check(job, wanted)
        for name, path in wanted.items():
            api.uploads.send(job_id, name, path, media_type=media_type, changed=_shower(name, as_json=as_json))
        left = uploads.missing(api.jobs.get(job_id))
        if wanted and (more or left):
            names = ", ".join(one.name for one in left)
            screen.note(f"job {job_id} still awaits {names}" if left else f"job {job_id} has all; it is not told yet")
            return
        job = api.uploads.done(job_id)
    if as_json:
        screen.line(job.document)
    else:
        screen.text(f"job {job.id} is {job.status}" + (f": {job.message}" if job.message else ""))
    if job.status == "FAILED":
        raise typer.Exit(FAILED)


def _by_name(words: Sequence[str]) -> dict[str, Path]:
    wanted: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not name or not equals or not path:
            raise UsageError(f"an upload is NAME=FILE, not {word!r}")
        if name in wanted:
            raise UsageError(f"the input {name!r} is there twice")
        if not Path(path).is_file():
            raise UsageError(f"the input {name!r}: there is no file {path}")
        wanted[name] = Path(path)
    return wanted


def _check(job: Job, wanted: dict[str, Path]) -> None:
    """Refuse names that the job does not await, before the first byte is sent."""
    known = [one.name for one in job.awaits]
    for name in wanted:
        if name not in known:
            raise UsageError(f"job {job.id} awaits no input {name!r} (it awaits: {', '.join(known) or 'nothing'})")


def _shower(name: str, *, as_json: bool) -> Callable[[UploadProgress], None]:
    """Return what shows how far the upload of an input is: on a terminal as it goes, else once, at its end."""

    def show(progress: UploadProgress) -> None:
        is_over = progress.done == progress.total
        if as_json:
            return
        resumed = f" ({screen.size(progress.resumed)} were there already)" if progress.resumed and is_over else ""
        percent = 100 if is_over else progress.done * 100 // progress.total
        screen.progress(f"{name}  {percent} %  {screen.size(progress.done)}{resumed}", is_last=is_over)

    return show
