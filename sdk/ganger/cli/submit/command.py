"""`ganger submit`: a command of your own, or a job type with its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from ganger.cli import screen
from ganger.cli.connection import SUBMIT_PATIENCE_S, Connection
from ganger.cli.failures import REFUSED
from ganger.cli.jobs import why
from ganger.cli.options import Json, expanded, pairs
from ganger.cli.submit import inputs, waiting
from ganger.cli.submit.option_errors import of_options
from ganger.cli.submit.options import AfterOptions, NeedOptions, TryOptions, WhereOptions
from ganger.cli.submit.program_options import LikingOptions, LimitOptions, RunnerOptions
from ganger.documents import JsonObject
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
        list[str] | None, typer.Argument(metavar="[TYPE[:VERSION]] [-- CMD ARG...]", show_default=False)
    ] = None,
    *,
    given: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="NAME=VALUE, or NAME=@PATH to send a file; may be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    needs: NeedOptions,
    runner: RunnerOptions,
    limits: LimitOptions,
    liking: LikingOptions,
    where: WhereOptions,
    tries: TryOptions,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE to find the job by.")] = None,
    project: Annotated[str | None, typer.Option(help="The project it belongs to.")] = None,
    after: AfterOptions,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Submit a job: a command of your own behind --, or a job type.

    With --wait the exit status is the job's own: 0 completed, else the code its program failed with, else 1.

    [bold]ganger submit --follow -- sh -c 'echo hello from $(hostname)'[/]

    [bold]ganger submit --cpus 2 --mem 4096 --timeout 600 --wait -- /srv/tools/simulate --steps 1000[/]

    [bold]ganger submit kml-footprint -i places=@airports.csv --wait[/]

    [bold]ganger submit --image registry.example/tool:1.2 --secret api-key --on-oom 2:65536 -- tool --all[/]

    [bold]ganger submit --require 'numpy>=2' --label run=7 --count 100 -- /srv/tools/sweep.py[/]

    [bold]ganger submit --count 4 --together -- /srv/tools/train-together[/]
    """
    kind, command = _what(what or [], ctx.meta.get(COMMAND_KEY))
    request = JobRequest(command=command, name=name, labels=pairs(label or [], "--label") or None, project=project)
    for group in (needs, runner, limits, liking, where, tries):
        request = group.apply(request)
    with connection.client(patience_s=SUBMIT_PATIENCE_S) as api, of_options():
        if kind is not None:
            request = inputs.typed(api, request, kind, given or [])
        elif given:
            raise UsageError("--input is for job types; a command gets its arguments behind --")
        if after.dry_run:
            code = _print_dry_run(
                api.jobs.dry_run(_numbered(request, tries.jobs), strict=where.strict), as_json=as_json
            )
            raise typer.Exit(code)
        job_ids = _send(api, request, key=tries.key, count=tries.jobs, strict=where.strict)
        code = waiting.after(api, job_ids, wait=after.wait, follow=after.follow, as_json=as_json)
    raise typer.Exit(code)


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
    if len(words) > 1:
        raise UsageError(f"a command stands behind --: ganger submit -- {' '.join(words)}")
    return words[0], None


def _send(api: Client, request: JobRequest, *, key: str | None, count: int, strict: bool) -> list[int]:
    if count > 1:
        return list(api.jobs.submit_many(_numbered(request, count), key=key, strict=strict))
    job = api.jobs.submit(replace(request, idempotency_key=key), strict=strict)
    for warning in job.document.get("warnings", ()):
        screen.note(f"ganger: {warning['description']}")
    return [job.id]


def _numbered(request: JobRequest, count: int) -> list[JobRequest]:
    """Return so many of the same job; of several each finds its number in its environment."""
    if count == 1:
        return [request]
    return [
        replace(request, environment={**(request.environment or {}), "INDEX": str(index)}) for index in range(count)
    ]


def _print_dry_run(outcomes: Sequence[JsonObject], *, as_json: bool) -> int:
    """Print what would happen to each job, with all reasons for a job that would not start; return the real call's exit status."""
    for outcome in outcomes:
        if as_json:
            screen.line(outcome)
            continue
        screen.text(outcome["summary"])
        for line in why.lines(outcome) if outcome["would"] != "start" else ():
            screen.text(f"  {line}")
    return REFUSED if any(outcome["would"] == "refuse" for outcome in outcomes) else 0
