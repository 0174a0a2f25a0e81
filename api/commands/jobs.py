"""`ganger jobs`, `show`: find jobs, look at one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands import choosing, connection, screen
from api.commands.options import JobId, Json, StateDir, Token, Url

if TYPE_CHECKING:
    from api.client import Execution, Job

HEADINGS = ("ID", "NAME", "STATUS", "TRIES", "NODE", "WAITED", "RAN", "WHY")


def jobs(
    *,
    status: choosing.Statuses = None,
    job_type: choosing.Types = None,
    category: choosing.Categories = None,
    error_category: choosing.Errors = None,
    node: choosing.Nodes = None,
    pool: choosing.Pools = None,
    label: choosing.Labels = None,
    project: choosing.Projects = None,
    since: choosing.Since = None,
    until: choosing.Until = None,
    order: Annotated[list[str] | None, typer.Option(help="Order by a field, descending with a leading -.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """List jobs, the newest first.

    [bold]ganger jobs --status RUNNING --status QUEUED[/]
    [bold]ganger jobs --type kml-footprint --since PT3H --json | jq .id[/]
    """
    which = choosing.chosen(
        None, everything=True, status=status, job_type_name=job_type, job_type_category=category,
        error_category=error_category, node=node, pool=pool, label=label, project=project, started=since, ended=until,
    )  # fmt: skip
    with connection.client(url, token, state_dir) as api:
        found = api.jobs.list(limit=limit, page_size=min(limit, 1000), order=order or ["-id"], **which.filters)
        if as_json:
            for job in found:
                screen.line(job.document)
            return
        screen.table(HEADINGS, (_row(job) for job in found), empty="no jobs")


def show(
    job_id: JobId,
    *,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Show a job in full: what it asked for, its tries with their phases, its inputs and outputs.

    [bold]ganger show 12[/]
    """
    with connection.client(url, token, state_dir) as api:
        job = api.jobs.get(job_id)
    if as_json:
        screen.document(job.document)
        return
    screen.fields(_summary(job))
    if job.job_exes:
        screen.heading("Tries")
        screen.table(TRY_HEADINGS, (_try_row(job, one) for one in job.job_exes), empty="")
    for title, values in (("Inputs", job.inputs), ("Outputs", job.outputs)):
        if values:
            screen.heading(title)
            screen.table(VALUE_HEADINGS, (row for value in values for row in _value_rows(value)), empty="")


TRY_HEADINGS = ("TRY", "EXECUTION", "STATUS", "NODE", "PRE", "JOB", "POST", "EXIT", "WHY")
VALUE_HEADINGS = ("NAME", "TYPE", "VALUE", "SIZE", "SHA-256")


def _row(job: Job) -> Sequence[object]:
    return (
        job.id,
        _title(job),
        job.status,
        f"{job.num_exes}/{job.max_tries}",
        job.node or "",
        screen.duration(screen.between(job.queued, job.started or job.ended)),
        screen.duration(screen.between(job.started, job.ended)),
        _why(job),
    )


def _title(job: Job) -> str:
    kind = f"{job.job_type.name}:{job.job_type.version}"
    return f"{job.name} ({kind})" if job.name else kind


def _why(job: Job) -> str:
    if job.is_held and not job.is_final:
        return f"held: {job.hold_reason}" if job.hold_reason else "held"
    if job.error is not None:
        return job.error.title or job.error.name
    return f"{job.percent:.0f} % {job.note or ''}".strip() if job.percent is not None and not job.is_final else ""


def _summary(job: Job) -> dict[str, object]:
    return {
        "job": job.id,
        "name": job.name,
        "type": f"{job.job_type.name}:{job.job_type.version}",
        "command": " ".join(job.command) or None,
        "status": job.status,
        "held": (job.hold_reason or "yes") if job.is_held else None,
        "error": f"{job.error.title or job.error.name} ({job.error.category})" if job.error else None,
        "message": job.message or None,
        "progress": f"{job.percent:.0f} % {job.note or ''}".strip() if job.percent is not None else None,
        "tries": f"{job.num_exes} of {job.max_tries}",
        "members": f"{job.count}, placed together" if job.count > 1 else None,
        "node": job.node,
        "asks for": f"{screen.number(job.cpus_required)} cpus, {screen.number(job.mem_required)} MiB memory, "
        f"{screen.number((job.disk_in_required or 0) + (job.disk_out_required or 0))} MiB disk",
        "priority": job.priority,
        "timeout": screen.duration(job.timeout) if job.timeout else "none",
        "pool": job.pool,
        "labels": ", ".join(f"{name}={value}" for name, value in job.labels.items()) or None,
        "project": job.project,
        "created": f"{screen.moment(job.created)}{f' by {job.created_by}' if job.created_by else ''}",
        "not before": screen.moment(job.not_before) if job.not_before and not job.started else None,
        "started": screen.moment(job.started) or None,
        "ended": screen.moment(job.ended) or None,
    }


def _try_row(job: Job, one: Execution) -> Sequence[object]:
    """Return a line of the table of tries; those of a gang are numbered by try and member."""
    phases = [screen.duration(one.seconds(phase)) for phase in ("pre", "job", "post")]
    codes = (one.pre_exit_code, one.job_exit_code, one.post_exit_code)
    exits = "/".join("-" if code is None else str(code) for code in codes)
    why = (one.error.title or one.error.name) if one.error else ""
    which = one.attempt if job.count == 1 else f"{one.attempt}.{one.member}"
    return (which, one.id, one.status, one.node or "", *phases, exits, one.message or why)


def _value_rows(value: Any) -> list[Sequence[object]]:
    if value.type == "property" or not value.files:
        shown = value.value if isinstance(value.value, str) else screen.compact(value.value)
        return [(value.name, value.type, shown, "", "")]
    return [
        (value.name, value.type, f"{file.file_name} (file {file.id})", screen.size(file.file_size), file.sha256 or "")
        for file in value.files
    ]
