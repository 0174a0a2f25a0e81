"""`ganger submit`: a command of your own, or a job type with its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from ganger.answers import TriedView
from ganger.cli import screen
from ganger.cli.connection import SUBMIT_PATIENCE_S, Connection
from ganger.cli.failures import REFUSED
from ganger.cli.jobs import why
from ganger.cli.options import Json, expanded, pairs
from ganger.cli.submit import each, from_input, inputs, waiting
from ganger.cli.submit.field_options import SubmissionOptions
from ganger.cli.submit.need_options import FollowOptions
from ganger.cli.submit.option_errors import of_options
from ganger.cli.submit.options import AfterOptions, NeedOptions, TryOptions, WhereOptions
from ganger.cli.submit.program_options import LikingOptions, LimitOptions, RunnerOptions
from ganger.errors import UsageError
from ganger.requests import JobRequest

if TYPE_CHECKING:
    from typer._click.core import Context

    from ganger import Client

COMMAND_KEY = "ganger.command"


class SubmitCommand(TyperCommand):
    """Takes everything behind `--` as the job's own command, untouched."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Keep what is behind the first `--` and parse the rest."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND_KEY] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@expanded
def submit(
    ctx: typer.Context,
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[TYPE[:VERSION] | -] [-- CMD ARG...]", show_default=False)
    ] = None,
    *,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            help="NAME=VALUE; of a file NAME=@PATH to send it, or NAME=ID of one that is there; may be repeated.",
        ),
    ] = None,
    every: Annotated[
        list[str] | None,
        typer.Option(
            "--each",
            metavar="FILES",
            help="One job for each file, such as 'data/*.csv' in quotes or NAME='*.csv'; sent as the input of a type, or its path for {} in a command.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people. Default with --each: the file's.")] = None,
    asks: NeedOptions,
    runner: RunnerOptions,
    limits: LimitOptions,
    liking: LikingOptions,
    where: WhereOptions,
    tries: TryOptions,
    follows: FollowOptions,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE to find the job by.")] = None,
    project: Annotated[str | None, typer.Option(help="The project it belongs to.")] = None,
    afterwards: AfterOptions,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Submit a job: a command of your own behind --, or a job type; with - requests as JSON or JSON lines from standard input.

    With --wait the exit status is the job's own: 0 completed, else the code its program failed with, else 1.

    [bold]ganger submit --follow -- sh -c 'echo hello from $(hostname)'[/]

    [bold]ganger submit --cpus 2 --mem 4G --timeout 10m --wait -- /srv/simulate -n 9[/]

    [bold]ganger submit kml-footprint -i places=@airports.csv --wait[/]

    [bold]ganger submit --image docker.io/tool:1.2 --secret key --on-oom 2:64G -- tool[/]

    [bold]ganger submit --require 'numpy>=2' --label run=7 --count 9 -- /srv/sweep.py[/]

    [bold]ganger submit --count 4 --together -- /srv/tools/train-together[/]

    [bold]ganger submit kml-footprint --each places='data/*.csv' -i program=@kml.py[/]

    [bold]ganger submit --after 41 --after-any 42 -- /srv/merge[/]

    [bold]ganger submit - < jobs.jsonl[/]
    """
    kind, command = _what(what or [], ctx.meta.get(COMMAND_KEY))
    request = JobRequest(command=command, name=name, labels=pairs(label or [], "--label") or None, project=project)
    request = _with_options(request, asks, runner, limits, liking, where, tries, follows)
    with connection.client(patience_s=SUBMIT_PATIENCE_S) as api, of_options(strict=where.strict):
        if kind is not None and kind != from_input.WORD:
            request = inputs.typed(api, request, kind, given or [])
        elif given:
            raise UsageError("--input is for job types; a command gets its arguments behind --")
        requests = _requests(api, request, every or [], tries.jobs, from_stdin=kind == from_input.WORD)
        if afterwards.dry_run:
            raise typer.Exit(_print_dry_run(api.jobs.dry_run(requests, strict=where.strict), as_json=as_json))
        job_ids = _send(api, requests, key=tries.key, strict=where.strict)
        code = waiting.after(api, job_ids, wait=afterwards.wait, follow=afterwards.follow, as_json=as_json)
    raise typer.Exit(code)


def _with_options(request: JobRequest, *groups: SubmissionOptions) -> JobRequest:
    for group in groups:
        request = group.apply(request)
    return request


def _what(words: list[str], command: list[str] | None) -> tuple[str | None, list[str] | None]:
    """Return the job type or the command. Raises UsageError for both, neither, or a command without `--`."""
    if command is not None:
        if words:
            raise UsageError(f"give a job type ({words[0]}) or a command behind --, not both")
        if not command:
            raise UsageError("there is no command behind --")
        return None, command
    if not words:
        raise UsageError("nothing to submit: ganger submit -- CMD ARG..., or ganger submit TYPE (see --help)")
    if len(words) > 1 and all(Path(word).is_file() for word in words):
        raise UsageError("--each takes one pattern in quotes, which the shell leaves alone: --each 'data/*.csv'")
    if len(words) > 1:
        raise UsageError(f"a command stands behind --: ganger submit -- {' '.join(words)}")
    return words[0], None


def _requests(
    api: Client, request: JobRequest, every: Sequence[str], count: int, *, from_stdin: bool
) -> Sequence[JobRequest | Mapping[str, object]]:
    """Return the jobs to make: one, so many of the same, one for each file, or those of standard input. Raises UsageError."""
    if every and (count > 1 or from_stdin):
        raise UsageError("--each makes the jobs; it goes with neither --count nor -")
    if from_stdin and count > 1:
        raise UsageError("standard input says which jobs to make; --count does not go with it")
    if from_stdin:
        return from_input.requests(request)
    return _numbered(each.requests(api, request, every)) if every else _numbered([request] * count)


def _send(
    api: Client, requests: Sequence[JobRequest | Mapping[str, object]], *, key: str | None, strict: bool
) -> list[int]:
    if len(requests) > 1 or not isinstance(requests[0], JobRequest):
        return list(api.jobs.submit_many(requests, key=key, strict=strict))
    job = api.jobs.submit(replace(requests[0], idempotency_key=key), strict=strict)
    for warning in job.document.get("warnings", ()):
        screen.note(f"ganger: {warning['description']}")
    if job.awaits:
        wanted = " ".join(f"{one.name}=FILE" for one in job.awaits)
        screen.note(f"it waits for its input: ganger upload {job.id} {wanted}")
    return [job.id]


def _numbered(requests: Sequence[JobRequest]) -> list[JobRequest]:
    """Return the jobs; of several each finds its number in its environment."""
    if len(requests) == 1:
        return list(requests)
    return [
        replace(request, environment={**(request.environment or {}), "INDEX": str(index)})
        for index, request in enumerate(requests)
    ]


def _print_dry_run(outcomes: Sequence[TriedView], *, as_json: bool) -> int:
    """Print what would happen to each job, with all reasons for a job that would not start; return the real call's exit status."""
    for outcome in outcomes:
        if as_json:
            screen.line(outcome)
            continue
        screen.text(outcome["summary"])
        for line in why.lines(outcome) if outcome["would"] != "start" else ():
            screen.text(f"  {line}")
    return REFUSED if any(outcome["would"] == "refuse" for outcome in outcomes) else 0
