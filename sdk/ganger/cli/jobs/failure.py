"""Why a job failed, for a person: what its last try said, the last lines of standard error, and where the rest is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganger.cli import screen

if TYPE_CHECKING:
    from ganger import Client, Execution, Job

LINES = 10
LINE_CHARACTERS = 500
PHASES = {"pre": "while it was made ready", "job": "", "post": "while its outputs were collected"}


def sentence(job: Job) -> str:
    """Return how a job ended: status, time, tries, kind of failure, phase and exit code, and what its last try said."""
    ran = screen.between(job.started, job.ended)
    text = f"job {job.id} {job.status}"
    if ran is not None:
        text += f" after {screen.duration(ran)}"
    if job.num_exes > 1:
        text += f", {screen.many(job.tries, 'try').replace('trys', 'tries')}"
    details = [*_details(job)]
    return ": ".join([text, *details])


def last_lines(api: Client, job: Job) -> Sequence[str]:
    """Return the last lines that the decisive try of a failed job wrote to standard error; of both outputs where there are none."""
    execution = job.decisive
    if job.status != "FAILED" or execution is None:
        return ()
    for stream in ("stderr", "stdout"):
        text = api.logs.read(execution.id, stream=stream)
        if text.strip():
            return [line[:LINE_CHARACTERS] for line in text.rstrip().splitlines()[-LINES:]]
    return ()


def explain(api: Client, job: Job) -> None:
    """Print on standard error what a failed job wrote last, and where all of it is."""
    lines = last_lines(api, job)
    for line in lines:
        screen.note(f"  {line}")
    if lines:
        screen.note(f"ganger: all that it wrote: ganger logs {job.id}")
    elif job.status == "FAILED":
        screen.note(f"ganger: it wrote nothing; more: ganger show {job.id}")


def _details(job: Job) -> Sequence[str]:
    execution, details = job.decisive, []
    message = job.message or (execution.message if execution is not None and job.status == "FAILED" else None)
    if job.error is not None:
        title = job.error.title or job.error.name
        code = "" if message and "exit code" in message else _code(execution)
        more = ", ".join(part for part in (_phase(execution), code) if part)
        details.append(f"{title} ({more})" if more else title)
    return [*details, message] if message else details


def _phase(execution: Execution | None) -> str:
    """Return in which phase a try ended, where that was not the job's own command."""
    if execution is None:
        return ""
    if execution.job_started is None:
        return PHASES["pre"] if execution.pre_started is not None else ""
    return PHASES["post"] if execution.post_started is not None and execution.job_exit_code == 0 else ""


def _code(execution: Execution | None) -> str:
    code = execution.exit_code if execution is not None else None
    return f"exit code {code}" if code else ""
