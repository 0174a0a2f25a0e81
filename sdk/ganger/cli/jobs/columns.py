"""The columns of `ganger jobs`: what each shows of a job, and which are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ganger.cli import screen
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Job

USUAL = ("id", "name", "status", "tries", "node", "waited", "ran", "why")
LABEL = "label."
"""Begins the name of a column that shows one label."""


def chosen(text: str | None) -> Sequence[str]:
    """Return the names of columns in `id,name,label.run`; those that are usual where nothing is asked for. Raises UsageError."""
    names = USUAL if text is None else [word.strip().lower() for word in text.split(",") if word.strip()]
    wrong = next((name for name in names if name not in COLUMNS and not name.startswith(LABEL)), None)
    if wrong is not None or not names:
        raise UsageError(
            f"--columns takes some of {', '.join(COLUMNS)} and label.KEY, with commas; not {wrong or text!r}"
        )
    return names


def row(job: Job, names: Sequence[str]) -> Sequence[object]:
    """Return what these columns show of a job."""
    return [
        job.labels.get(name.removeprefix(LABEL)) if name.startswith(LABEL) else COLUMNS[name](job) for name in names
    ]


def why(job: Job) -> str:
    """Return why a job waits or failed, as far as the list knows: the kind of failure and what the try said."""
    if job.is_held and not job.is_final:
        return f"held: {job.hold_reason}" if job.hold_reason else "held"
    if job.error is not None:
        return ": ".join(part for part in (job.error.title or job.error.name, job.message) if part)
    if job.is_final:
        return job.message or ""
    return f"{job.percent:.0f} % {job.note or ''}".strip() if job.percent is not None else ""


def title(job: Job) -> str:
    """Return what a person knows a job by: its name, else its command, else its type."""
    return job.name or job.command_line or kind(job)


def kind(job: Job) -> str:
    """Return a job's type and version."""
    return f"{job.job_type.name}:{job.job_type.version}"


COLUMNS: Mapping[str, Callable[[Job], object]] = {
    "id": lambda job: job.id,
    "name": title,
    "status": lambda job: job.status,
    "tries": lambda job: f"{job.tries}/{job.max_tries}",
    "node": lambda job: job.node or "",
    "waited": lambda job: screen.duration(screen.between(job.queued, job.started or job.ended)),
    "ran": lambda job: screen.duration(screen.between(job.started, job.ended)),
    "why": why,
    "type": kind,
    "command": lambda job: job.command_line,
    "project": lambda job: job.project,
    "priority": lambda job: job.priority,
    "pool": lambda job: job.pool,
    "cpus": lambda job: screen.number(job.cpus_required),
    "mem": lambda job: screen.number(job.mem_required),
    "labels": lambda job: ", ".join(f"{name}={value}" for name, value in job.labels.items()),
    "created": lambda job: screen.moment(job.created),
    "queued": lambda job: screen.moment(job.queued),
    "started": lambda job: screen.moment(job.started),
    "ended": lambda job: screen.moment(job.ended),
}
