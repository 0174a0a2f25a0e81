"""`ganger logs`: what a job's programs wrote, whole or while they write it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import FAILED
from ganger.cli.job_ids import JobId
from ganger.cli.jobs.grep import LogGrep, LogPart, Phase, Stream, chosen, grep_job
from ganger.cli.options import Json, expanded

if TYPE_CHECKING:
    from ganger import Client, Job, LogPiece

# A new try within this wait is seen when it is over, should its job have come back to the same status meanwhile.
TRY_WAIT_S = 5
# Following goes on while the API restarts or is upgraded.
PATIENCE_S = 120.0


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
    part: LogPart,
    grep: LogGrep,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Print what a job wrote, of its newest try; with --follow also what it still writes, try after try.

    [bold]ganger logs -f 12[/]

    [bold]ganger logs -f 12 --tail 20[/]

    [bold]ganger logs 12 --try 1 --stream stderr[/]

    [bold]ganger logs 12 --grep 'CUDA error' --every-try[/]

    [bold]ganger logs 12 --since 10m --grep 'slow|late' -n[/]
    """
    grep.check(follow=follow, attempt=attempt)
    with connection.client() as api:
        if grep.pattern is not None:
            grep_job(
                api, job_id, grep, part, stream=stream, phase=phase, attempt=attempt, member=member, as_json=as_json
            )
            return
        if follow and attempt is None:
            follow_job(api, job_id, stream=stream, phase=phase, member=member, as_json=as_json, part=part)
            return
        execution = chosen(api.jobs.get(job_id), attempt, member or 0)
        if execution is None:
            screen.note(f"job {job_id} has no {'such try' if attempt or member else 'output: it has not run yet'}")
            raise typer.Exit(FAILED)
        if follow:
            for piece in api.logs.follow(execution.id, stream=stream, phase=phase, **part.query()):
                write(piece, as_json=as_json)
        elif as_json:
            screen.document(api.logs.document(execution.id, stream=stream, phase=phase, **part.query()))
        else:
            _write_bytes(api.logs.content(execution.id, stream=stream, phase=phase, **part.query()))


def follow_job(
    api: Client,
    job_id: int,
    *,
    stream: Stream = "combined",
    phase: Phase | None = None,
    member: int | None = None,
    as_json: bool = False,
    split: bool = False,
    prefixes: PrefixedOutput | None = None,
    part: LogPart | None = None,
) -> Job:
    """Print everything a job writes until it has ended, try after try; returns the job. `split` as in `write`.

    With `prefixes` each line stands behind the id of its job; with `part` only that of what is there at the beginning is printed.

    The members of a gang come one after another, unless only one of them is wanted.
    """
    shown: set[int] = set()
    job = api.jobs.get(job_id, patience_s=PATIENCE_S)
    while True:
        wanted = [
            execution for execution in job.job_exes if execution.id not in shown and member in {None, execution.member}
        ]
        fresh = sorted(wanted, key=lambda execution: (execution.attempt or 0, execution.member))
        for execution in fresh:
            query = (LogPart() if part is None or shown else part).query()
            if shown and not as_json and prefixes is None:
                what = f"member {execution.member}" if execution.member else "another try"
                screen.note(f"ganger: {what}, on {execution.node}")
            shown.add(execution.id)
            for piece in api.logs.follow(execution.id, stream=stream, phase=phase, **query):
                if prefixes is None:
                    write(piece, as_json=as_json, split=split)
                else:
                    prefixes.write(job_id, piece)
            if prefixes is not None:
                prefixes.end(job_id)
        if job.is_final and not fresh:
            return job
        if fresh:
            job = api.jobs.get(job_id, patience_s=PATIENCE_S)
        else:
            job = api.jobs.await_change(job, wait_s=TRY_WAIT_S, patience_s=PATIENCE_S)


class PrefixedOutput:
    """Lines of several jobs on one output, each behind the id of its job; a line is printed when it is whole. Thread-safe."""

    def __init__(self, job_ids: Sequence[int]) -> None:
        self._width = max((len(str(job_id)) for job_id in job_ids), default=0)
        self._begun: dict[tuple[int, str], str] = {}
        self._lock = threading.Lock()

    def write(self, job_id: int, piece: LogPiece) -> None:
        """Print the lines that a piece of a job's output ends, and keep the rest."""
        with self._lock:
            *lines, rest = (self._begun.pop((job_id, piece.stream), "") + piece.text).split("\n")
            self._print(job_id, piece.stream, lines)
            if rest:
                self._begun[job_id, piece.stream] = rest

    def end(self, job_id: int) -> None:
        """Print what a job has begun: no more of it comes."""
        with self._lock:
            for stream in ("stdout", "stderr"):
                rest = self._begun.pop((job_id, stream), "")
                self._print(job_id, stream, [rest] if rest else [])

    def _print(self, job_id: int, stream: str, lines: Sequence[str]) -> None:
        target = sys.stderr if stream == "stderr" else sys.stdout
        for line in lines:
            target.write(f"{job_id:>{self._width}} | {line}\n")
        target.flush()


def write(piece: LogPiece, *, as_json: bool = False, split: bool = False) -> None:
    """Print one piece at once; with `split`, what the program wrote to its stderr goes to ours."""
    if as_json:
        screen.line(piece.document)
        return
    target = sys.stderr if split and piece.stream == "stderr" else sys.stdout
    if target.isatty():  # characters that pieces cut in two are whole in the text
        target.write(piece.text)
    else:
        target.flush()
        target.buffer.write(piece.data)
    target.flush()


def _write_bytes(content: bytes) -> None:
    """Print what a program wrote as it wrote it: its bytes need not be text."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
