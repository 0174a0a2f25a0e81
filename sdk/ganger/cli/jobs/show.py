"""`ganger show`: one job in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.job_ids import JobId
from ganger.cli.jobs import failure, why
from ganger.cli.options import Json, expanded
from ganger.documents import JsonObject

if TYPE_CHECKING:
    from ganger import Execution, Job
    from ganger.records import Value

TRY_HEADINGS = ("TRY", "EXECUTION", "STATUS", "NODE", "PRE", "JOB", "POST", "EXIT", "WHY")
NEED_HEADINGS = ("NEEDS", "AFTER", "ITS STATUS", "SETTLED")
VALUE_HEADINGS = ("NAME", "TYPE", "VALUE", "SIZE", "SHA-256")


@expanded
def show(
    job_id: JobId,
    *,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show a job in full: what it asked for, its tries with their phases, its inputs and outputs.

    [bold]ganger show 12[/]
    """
    with connection.client() as api:
        job = api.jobs.get(job_id)
        last = [] if as_json else failure.last_lines(api, job)
        waited = "" if as_json else why.waited(api, job_id)
    if as_json:
        screen.document(job.document)
        return
    screen.fields(_summary(job) | {"waited": waited or None})
    if job.job_exes:
        screen.heading("Tries")
        screen.table(TRY_HEADINGS, (_try_row(job, execution) for execution in job.job_exes), empty="")
    if job.needs:
        screen.heading("Needs")
        screen.table(NEED_HEADINGS, (_need_row(need) for need in job.needs), empty="")
    for title, values in (("Inputs", job.inputs), ("Outputs", job.outputs)):
        if values:
            screen.heading(title)
            screen.table(VALUE_HEADINGS, (row for value in values for row in _value_rows(value)), empty="")
    if last:
        screen.heading("Last lines that it wrote")
        for line in last:
            screen.text(f"wrote last\t{line}" if not screen.terminal() else f"  {line}")
        screen.note(f"all of them: ganger logs {job.id}")


def _reused(job: Job) -> str | None:
    """Return whose results the job has, or why it ran itself; None where reuse is off."""
    if job.cache is None:
        return None
    return f"the results of job {job.cache['reused_from']}" if job.cache["reused_from"] else job.cache["missed"]


def _summary(job: Job) -> dict[str, object]:
    return {
        "job": job.id,
        "name": job.name,
        "type": f"{job.job_type.name}:{job.job_type.version}",
        "command": " ".join(job.command) or None,
        "status": job.status,
        "skipped": "it was not needed" if job.is_skipped else None,
        "submitted by": f"job {job.parent_job_id}" if job.parent_job_id else None,
        "done by": f"{job.forced_by}, who said so" if job.forced_by else None,
        "reused": _reused(job),
        "held": (job.hold_reason or "yes") if job.is_held else None,
        "error": f"{job.error.title or job.error.name} ({job.error.category})" if job.error else None,
        "message": job.message or None,
        "progress": f"{job.percent:.0f} % {job.note or ''}".strip() if job.percent is not None else None,
        "tries": _tries(job),
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
        "retry at": screen.moment(job.retry_at) if job.retry_at else None,
        "started": screen.moment(job.started) or None,
        "ended": screen.moment(job.ended) or None,
    }


def _tries(job: Job) -> str:
    forgiven = f", {job.forgiven} more forgiven" if job.forgiven else ""
    return f"{job.tries} of {job.max_tries}{forgiven}"


def _try_row(job: Job, execution: Execution) -> Sequence[object]:
    """Return a line of the table of tries; those of a gang are numbered by try and member."""
    phases = [screen.duration(execution.seconds(phase)) for phase in ("pre", "job", "post")]
    codes = (execution.pre_exit_code, execution.job_exit_code, execution.post_exit_code)
    exits = "/".join("-" if code is None else str(code) for code in codes)
    why = (execution.error.title or execution.error.name) if execution.error else ""
    which = execution.attempt if job.count == 1 else f"{execution.attempt}.{execution.member}"
    return (which, execution.id, execution.status, execution.node or "", *phases, exits, execution.message or why)


def _need_row(need: JsonObject) -> Sequence[object]:
    group = f"group {need.get('group_name') or need.get('group')}" + (", any member" if need.get("any_member") else "")
    which = f"job {need['job']}" if need.get("job") else group
    return (which, need.get("after"), need.get("status") or "", need.get("settled") or "waits")


def _value_rows(value: Value) -> list[Sequence[object]]:
    if value.type == "property" or not value.files:
        shown = value.value if isinstance(value.value, str) else screen.compact(value.value)
        return [(value.name, value.type, shown, "", "")]
    return [
        (value.name, value.type, f"{file.file_name} (file {file.id})", screen.size(file.file_size), file.sha256 or "")
        for file in value.files
    ]
