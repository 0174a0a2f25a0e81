"""`ganger submit`: a command of your own, or a job type with its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ganger.cli import connection, screen
from ganger.cli.failures import REFUSED
from ganger.cli.jobs import why
from ganger.cli.options import Json, StateDir, Token, Url, amounts, pairs
from ganger.cli.submit import inputs, program_options, waiting
from ganger.cli.submit.option_errors import of_options
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, JobRequest

ASKS, WHERE, TRIES, AFTER = "What it needs", "Where it runs", "When and how often", "Afterwards"
COMMAND_KEY = "ganger.command"
COUNT_MAX = 10_000


class SubmitCommand(TyperCommand):
    """Takes everything behind `--` as the job's own command, untouched."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what is behind the first `--` and parse the rest."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND_KEY] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


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
    cpus: Annotated[float | None, typer.Option(min=0.001, help="Cpus, such as 0.5.", rich_help_panel=ASKS)] = None,
    mem: Annotated[float | None, typer.Option(min=0, help="Memory in MiB.", rich_help_panel=ASKS)] = None,
    disk: Annotated[float | None, typer.Option(min=0, help="Disk for output in MiB.", rich_help_panel=ASKS)] = None,
    resource: Annotated[
        list[str] | None, typer.Option(help="NAME=AMOUNT of another resource, such as gpu=1.", rich_help_panel=ASKS)
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE in the job's environment.", rich_help_panel=ASKS)
    ] = None,
    image: program_options.Image = None,
    network: program_options.Network = None,
    python: program_options.Python = False,
    interpreter: program_options.Interpreter = None,
    require: program_options.Requirements = None,
    secret: program_options.Secrets = None,
    pre_timeout: program_options.PreTimeout = None,
    post_timeout: program_options.PostTimeout = None,
    grace: program_options.Grace = None,
    max_processes: program_options.Processes = None,
    max_open_files: program_options.OpenFiles = None,
    on_oom: program_options.OnOom = None,
    prefer: program_options.Prefer = None,
    apart: program_options.Apart = None,
    spread: program_options.Spread = None,
    preemptible: program_options.Preemptible = False,
    pool: Annotated[str | None, typer.Option(help="Only nodes of this pool.", rich_help_panel=WHERE)] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="What a node's label must be: zone=a, zone!=b, arch (exists), !spot (does not), gpus>2.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, help="The smaller number goes first.", rich_help_panel=TRIES)
    ] = None,
    max_tries: Annotated[int | None, typer.Option(min=1, help="Try so often.", rich_help_panel=TRIES)] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds for the command of one try.", rich_help_panel=TRIES)
    ] = None,
    not_before: Annotated[
        str | None, typer.Option(help="Time with zone, such as 2026-11-22T20:00:00Z.", rich_help_panel=TRIES)
    ] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Wait until somebody releases it.", rich_help_panel=TRIES)
    ] = False,
    hold_reason: Annotated[
        str | None, typer.Option(help="Why it is held, for the others.", rich_help_panel=TRIES)
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key makes the job only once.", rich_help_panel=TRIES)
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            min=1, max=COUNT_MAX, help="So many jobs; each finds its number from 0 in $INDEX.", rich_help_panel=TRIES
        ),
    ] = 1,
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="With --count: one job of so many members, which start all at once; each finds its number in $GANGER_MEMBER.",
            rich_help_panel=TRIES,
        ),
    ] = False,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE to find the job by.")] = None,
    project: Annotated[str | None, typer.Option(help="The project it belongs to.")] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse it if no node is large enough, or its project may never have so much.",
            rich_help_panel=WHERE,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Make nothing; say where it would start, or why not; up to 100 jobs.",
            rich_help_panel=AFTER,
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end; exit as the job did.", rich_help_panel=AFTER)
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Likewise, and print what the job writes.", rich_help_panel=AFTER)
    ] = False,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
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
    from ganger import JobRequest  # noqa: PLC0415 - a wrong call is told without an HTTP library

    request = JobRequest(
        command=command,
        name=name,
        cpus_required=cpus,
        mem_required=mem,
        disk_out_required=disk,
        resources=amounts(resource or []) or None,
        environment=pairs(env or [], "--env") or None,
        pool=pool,
        constraints=[inputs.constraint(text) for text in constraint or ()] or None,
        priority=priority,
        max_tries=max_tries,
        timeout=timeout,
        not_before=_moment(not_before),
        held=held or None,
        hold_reason=hold_reason,
        **program_options.runner(image=image, network=network, python=python, interpreter=interpreter, require=require),
        secrets=secret,
        pre_timeout=pre_timeout,
        post_timeout=post_timeout,
        grace=grace,
        max_processes=max_processes,
        max_open_files=max_open_files,
        on_oom=program_options.on_oom(on_oom),
        preferences=[program_options.preference(text) for text in prefer or ()] or None,
        apart=apart,
        spread=spread,
        preemptible=preemptible or None,
        labels=pairs(label or [], "--label") or None,
        project=project,
        count=count if together else None,
        together=together or None,
    )
    jobs = 1 if together else count
    with connection.client(url, token, state_dir, patience_s=connection.SUBMIT_PATIENCE_S) as api, of_options():
        if kind is not None:
            request = inputs.typed(api, request, kind, given or [])
        elif given:
            raise UsageError("--input is for job types; a command gets its arguments behind --")
        if dry_run:
            code = _tell(api.jobs.dry_run(_numbered(request, jobs), strict=strict), as_json=as_json)
            raise typer.Exit(code)
        job_ids = _send(api, request, key=key, count=jobs, strict=strict)
        code = waiting.after(api, job_ids, wait=wait, follow=follow, as_json=as_json)
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
    made = api.jobs.submit(replace(request, idempotency_key=key), strict=strict)
    for warning in made.document.get("warnings", ()):
        screen.note(f"ganger: {warning['description']}")
    return [made.id]


def _numbered(request: JobRequest, count: int) -> list[JobRequest]:
    """Return so many of the same job; of several each finds its number in its environment."""
    if count == 1:
        return [request]
    return [
        replace(request, environment={**(request.environment or {}), "INDEX": str(index)}) for index in range(count)
    ]


def _tell(told: Sequence[dict[str, Any]], *, as_json: bool) -> int:
    """Print what would become of jobs, of those that would not start all that is known; return the exit status of the real call."""
    for one in told:
        if as_json:
            screen.line(one)
            continue
        screen.say(one["summary"])
        for line in why.lines(one) if one["would"] != "start" else ():
            screen.say(f"  {line}")
    return REFUSED if any(one["would"] == "refuse" for one in told) else 0


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--not-before: {text!r} is not a time such as 2026-11-22T20:00:00Z") from error
    return when if when.tzinfo else when.astimezone()
