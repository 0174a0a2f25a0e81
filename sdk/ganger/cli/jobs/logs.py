"""`ganger logs`: what a job's programs wrote, whole or while they write it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import FAILED
from ganger.cli.options import JobId, Json, expanded

if TYPE_CHECKING:
    from ganger import Client, Execution, Job, LogPiece

TRY_POLL_S = 0.2
# Following goes on while the API restarts or is upgraded.
PATIENCE_S = 120.0


Stream: TypeAlias = Literal["combined", "stdout", "stderr"]
Phase: TypeAlias = Literal["pre", "job", "post"]


@expanded
def logs(
    job_id: JobId,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended, over all its tries.")
    ] = False,
    stream: Annotated[Stream, typer.Option(help="Both outputs together, or one.")] = "combined",
    phase: Annotated[Phase | None, typer.Option(help="Only this phase.")] = None,
    attempt: Annotated[
        int | None, typer.Option("--try", min=1, help="Of this try (see `ganger show`); default: the newest.")
    ] = None,
    member: Annotated[
        int | None, typer.Option(min=0, help="Of this member of a gang; default: all while following, else the first.")
    ] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Print what a job wrote, of its newest try; with --follow also what it still writes, try after try.

    [bold]ganger logs -f 12[/]

    [bold]ganger logs 12 --try 1 --stream stderr[/]
    """
    with connection.client() as api:
        if follow and attempt is None:
            follow_job(api, job_id, stream=stream, phase=phase, member=member, as_json=as_json)
            return
        execution = _chosen(api.jobs.get(job_id), attempt, member or 0)
        if execution is None:
            screen.note(f"job {job_id} has no {'such try' if attempt or member else 'output: it has not run yet'}")
            raise typer.Exit(FAILED)
        if follow:
            for piece in api.logs.follow(execution.id, stream=stream, phase=phase):
                write(piece, as_json=as_json)
        elif as_json:
            screen.document(api.logs.document(execution.id, stream=stream, phase=phase))
        else:
            sys.stdout.write(api.logs.read(execution.id, stream=stream, phase=phase))


def follow_job(
    api: Client,
    job_id: int,
    *,
    stream: Stream = "combined",
    phase: Phase | None = None,
    member: int | None = None,
    as_json: bool = False,
    split: bool = False,
) -> Job:
    """Print everything a job writes until it has ended, try after try; returns the job. `split` as in `write`.

    The members of a gang come one after another, unless only one of them is wanted.
    """
    shown: set[int] = set()
    while True:
        job = api.jobs.get(job_id, patience_s=PATIENCE_S)
        wanted = [
            execution for execution in job.job_exes if execution.id not in shown and member in {None, execution.member}
        ]
        fresh = sorted(wanted, key=lambda execution: (execution.attempt or 0, execution.member))
        for execution in fresh:
            if shown and not as_json:
                what = f"member {execution.member}" if execution.member else "another try"
                screen.note(f"ganger: {what}, on {execution.node}")
            shown.add(execution.id)
            for piece in api.logs.follow(execution.id, stream=stream, phase=phase):
                write(piece, as_json=as_json, split=split)
        if job.is_final and not fresh:
            return job
        if not fresh:
            time.sleep(TRY_POLL_S)


def write(piece: LogPiece, *, as_json: bool = False, split: bool = False) -> None:
    """Print one piece at once; with `split`, what the program wrote to its stderr goes to ours."""
    if as_json:
        screen.line(piece.document)
        return
    target = sys.stderr if split and piece.stream == "stderr" else sys.stdout
    target.write(piece.text)
    target.flush()


def _chosen(job: Job, attempt: int | None, member: int) -> Execution | None:
    if attempt is None and job.latest is not None:
        attempt = job.latest.attempt
    return next(
        (execution for execution in job.job_exes if (execution.attempt, execution.member) == (attempt, member)), None
    )
