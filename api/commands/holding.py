"""`ganger hold` and `ganger release`: keep jobs from starting, and let them go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands import connection, screen
from api.commands.failures import FAILED
from api.commands.options import JobIds, Json, StateDir, Token, Url

if TYPE_CHECKING:
    from api.client import Client, Operation


def hold(
    job_ids: JobIds,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for the others.")] = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Keep jobs from starting until they are released.

    [bold]ganger hold 12 --reason 'wait for the new data'[/]
    """
    with connection.client(url, token, state_dir) as api:
        carry_out(api, job_ids, lambda: api.jobs.hold(job_ids, reason=reason), done="held", as_json=as_json)


def release(
    job_ids: JobIds, *, as_json: Json = False, url: Url = None, token: Token = None, state_dir: StateDir = None
) -> None:
    """Let held jobs go.

    [bold]ganger release 12[/]
    """
    with connection.client(url, token, state_dir) as api:
        carry_out(api, job_ids, lambda: api.jobs.release(job_ids), done="released", as_json=as_json)


def carry_out(
    api: Client,
    job_ids: Sequence[int],
    begin: Callable[[], Operation],
    *,
    done: str,
    advice: str = "",
    as_json: bool = False,
) -> None:
    """Begin an action on these jobs, wait for its end and tell; ends the command with 1 if it skipped any."""
    for job_id in job_ids:
        api.jobs.get(job_id)  # one that does not exist is told now, not skipped in silence
    operation = api.jobs.wait_operation(begin())
    count = operation.done or 0
    if as_json:
        screen.document(operation.document)
    else:
        screen.say(f"{count} of {len(set(job_ids))} {done}")
    if count < len(set(job_ids)):
        if advice and not as_json:
            screen.note(advice)
        raise typer.Exit(FAILED)
