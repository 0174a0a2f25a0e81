"""`ganger done`: say that a job is done though no execution of it completed."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.job_ids import JobId
from ganger.cli.options import Json, expanded, pairs


@expanded
def done(
    job_id: JobId,
    *,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", help="NAME=VALUE of an output; of a file its id.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the others.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Say that a FAILED or BLOCKED job is done, and what it made: what waits for it goes on.

    [bold]ganger done 12 --output table=41 --reason 'made by hand'[/]
    """
    outputs = {name: _value(text) for name, text in pairs(output or [], "--output").items()}
    with connection.client() as api:
        job = api.jobs.done(job_id, outputs=outputs, reason=reason)
    if as_json:
        screen.document(job.document)
    else:
        screen.text(f"job {job.id} is {job.status}")


def _value(text: str) -> object:
    try:
        found = orjson.loads(text)
    except ValueError:
        return text
    return found
