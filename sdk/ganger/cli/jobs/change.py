"""`ganger cancel`, `requeue`, `hold`, `release`: change the fate of jobs, by id or by the filters of the list."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import connection, screen
from ganger.cli.failures import REFUSED
from ganger.cli.jobs.selection import (
    Categories,
    DryRun,
    Errors,
    Everything,
    Ids,
    Labels,
    Nodes,
    Pools,
    Projects,
    Since,
    Statuses,
    Types,
    Until,
    Yes,
    carry_out,
    chosen,
)
from ganger.cli.options import Json, StateDir, Token, Url
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client

Reason = Annotated[str | None, typer.Option(help="Why, for the others.")]


def cancel(
    job_ids: Ids = None,
    *,
    status: Statuses = None,
    job_type: Types = None,
    category: Categories = None,
    error_category: Errors = None,
    node: Nodes = None,
    pool: Pools = None,
    label: Labels = None,
    project: Projects = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    reason: Reason = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when every process of the jobs is dead; with ids only.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Cancel jobs, waiting or running. A job is CANCELED at once; its processes are dead soon after.

    [bold]ganger cancel 12 13[/]

    [bold]ganger cancel --type kml-footprint --status QUEUED --dry-run[/]

    [bold]ganger cancel --label batch=7 --yes[/]
    """
    which = chosen(
        job_ids, everything=everything, status=status, job_type_name=job_type, job_type_category=category,
        error_category=error_category, node=node, pool=pool, label=label, project=project, started=since, ended=until,
    )  # fmt: skip
    if wait and not job_ids:
        raise UsageError("--wait is for jobs that are given by id")
    with connection.client(url, token, state_dir) as api:
        if not job_ids or dry_run or reason:
            carry_out(
                api, "cancel", which, done="canceled", dry_run=dry_run, sure=yes, as_json=as_json, reason=reason,
                advice="jobs that have ended are not canceled",
            )  # fmt: skip
            if wait and not dry_run:
                for job_id in which.job_ids:
                    api.jobs.wait_dead(job_id)
            return
        code = max(_cancel_one(api, job_id, wait=wait, as_json=as_json) for job_id in job_ids)
    raise typer.Exit(code)


def requeue(
    job_ids: Ids = None,
    *,
    status: Statuses = None,
    job_type: Types = None,
    category: Categories = None,
    error_category: Errors = None,
    node: Nodes = None,
    pool: Pools = None,
    label: Labels = None,
    project: Projects = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    priority: Annotated[int | None, typer.Option(min=0, help="New priority; the smaller number goes first.")] = None,
    reason: Reason = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Give FAILED and CANCELED jobs a new round of tries; others that match are passed over.

    [bold]ganger requeue 12[/]

    [bold]ganger requeue --status FAILED --error-category SYSTEM --since P1D[/]
    """
    which = chosen(
        job_ids, everything=everything, status=status, job_type_name=job_type, job_type_category=category,
        error_category=error_category, node=node, pool=pool, label=label, project=project, started=since, ended=until,
    )  # fmt: skip
    with connection.client(url, token, state_dir) as api:
        carry_out(
            api, "requeue", which, done="requeued", dry_run=dry_run, sure=yes, as_json=as_json, reason=reason,
            priority=priority, advice="only FAILED and CANCELED jobs can be requeued",
        )  # fmt: skip


def hold(
    job_ids: Ids = None,
    *,
    status: Statuses = None,
    job_type: Types = None,
    category: Categories = None,
    error_category: Errors = None,
    node: Nodes = None,
    pool: Pools = None,
    label: Labels = None,
    project: Projects = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    reason: Reason = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Keep jobs from starting until they are released.

    [bold]ganger hold 12 --reason 'wait for the new data'[/]

    [bold]ganger hold --project maps --status QUEUED[/]
    """
    which = chosen(
        job_ids, everything=everything, status=status, job_type_name=job_type, job_type_category=category,
        error_category=error_category, node=node, pool=pool, label=label, project=project, started=since, ended=until,
    )  # fmt: skip
    with connection.client(url, token, state_dir) as api:
        carry_out(
            api, "hold", which, done="held", dry_run=dry_run, sure=yes, as_json=as_json, reason=reason
        )  # fmt: skip


def release(
    job_ids: Ids = None,
    *,
    status: Statuses = None,
    job_type: Types = None,
    category: Categories = None,
    error_category: Errors = None,
    node: Nodes = None,
    pool: Pools = None,
    label: Labels = None,
    project: Projects = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Let held jobs go.

    [bold]ganger release 12[/]

    [bold]ganger release --label batch=7[/]
    """
    which = chosen(
        job_ids, everything=everything, status=status, job_type_name=job_type, job_type_category=category,
        error_category=error_category, node=node, pool=pool, label=label, project=project, started=since, ended=until,
    )  # fmt: skip
    with connection.client(url, token, state_dir) as api:
        carry_out(api, "release", which, done="released", dry_run=dry_run, sure=yes, as_json=as_json)


def _cancel_one(api: Client, job_id: int, *, wait: bool, as_json: bool) -> int:
    """Cancel one of several jobs; one that cannot be canceled does not keep the others from it."""
    from ganger import Conflict, NotFound  # noqa: PLC0415 - the connection has brought it anyway

    try:
        job = api.jobs.cancel(job_id)
    except (Conflict, NotFound) as error:
        screen.note(f"ganger: job {job_id}: {error}")
        return REFUSED
    if wait:
        job = api.jobs.wait_dead(job_id)
    if as_json:
        screen.line(job.document)
    else:
        screen.say(f"job {job.id} {job.status}")
    sys.stdout.flush()
    return 0
