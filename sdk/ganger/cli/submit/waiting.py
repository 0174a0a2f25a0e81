"""After submitting: print the new jobs, or wait for them, show their progress, and end with their exit status."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from ganger.cli import screen
from ganger.cli.failures import FAILED, INTERRUPTED
from ganger.cli.jobs import logs

if TYPE_CHECKING:
    from ganger import Client, Job


def after(api: Client, job_ids: Sequence[int], *, wait: bool, follow: bool, as_json: bool) -> int:
    """Return the exit status: 0 when nothing is waited for, else the job's own; 130 on Ctrl-C, the jobs go on."""
    if not wait and not follow:
        _print_made(api, job_ids, as_json=as_json)
        return 0
    try:
        if len(job_ids) > 1:
            return _wait_many(api, job_ids, as_json=as_json)
        return _wait_one(api, job_ids[0], follow=follow, as_json=as_json)
    except KeyboardInterrupt:
        ids = " ".join(str(job_id) for job_id in job_ids[:20]) + (" …" if len(job_ids) > 20 else "")  # noqa: PLR2004 - a line
        screen.note(f"\nganger: no longer waiting; it goes on. To cancel: ganger cancel {ids}")
        return INTERRUPTED


def _print_made(api: Client, job_ids: Sequence[int], *, as_json: bool) -> None:
    if as_json and len(job_ids) == 1:
        screen.document(api.jobs.get(job_ids[0]).document)
    elif as_json:
        screen.document({"count": len(job_ids), "job_ids": list(job_ids)})
    elif not screen.terminal():
        for job_id in job_ids:
            screen.text(str(job_id))
    elif len(job_ids) == 1:
        screen.text(f"job {job_ids[0]}  (ganger logs -f {job_ids[0]})")
    else:
        screen.text(f"{len(job_ids)} jobs, {job_ids[0]} to {job_ids[-1]}")


def _wait_one(api: Client, job_id: int, *, follow: bool, as_json: bool) -> int:
    if follow and not as_json:
        screen.note(f"ganger: job {job_id}")
        logs.follow_job(api, job_id, split=True)
        job = api.jobs.wait(job_id)
    else:
        with _Line(quiet=as_json) as line:
            job = api.jobs.wait(job_id, changed=lambda changed_job: line.show(_progress(changed_job)))
    if as_json:
        screen.document(job.document)
    elif follow:
        screen.note(f"ganger: {_ending(job)}")
    else:
        screen.text(_ending(job))
    return job.exit_code


def _wait_many(api: Client, job_ids: Sequence[int], *, as_json: bool) -> int:
    seen: dict[int, str] = {}

    def show(job: Job) -> None:
        seen[job.id] = job.status
        counts = Counter(seen.values())
        line.show(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))

    with _Line(quiet=as_json) as line:
        ended = api.jobs.wait_all(job_ids, changed=show)
    for job_id in job_ids:
        if as_json:
            screen.line(ended[job_id].document)
        elif ended[job_id].status != "COMPLETED" or not screen.terminal():
            screen.text(_ending(ended[job_id]))
    completed = sum(job.status == "COMPLETED" for job in ended.values())
    if not as_json:
        screen.note(f"ganger: {completed} of {len(ended)} jobs COMPLETED")
    return 0 if completed == len(ended) else FAILED


class _Line:
    """One line on the terminal that is replaced by the next; nothing where nobody watches."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def show(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _progress(job: Job) -> str:
    where = f" on {job.node}" if job.node else ""
    tries = f", try {job.tries} of {job.max_tries}" if job.tries > 1 else ""
    return f"job {job.id} {job.status}{where}{tries}"


def _ending(job: Job) -> str:
    ran = screen.between(job.started, job.ended)
    sentence = f"job {job.id} {job.status}"
    if ran is not None:
        sentence += f" after {screen.duration(ran)}"
    if job.num_exes > 1:
        sentence += f", {job.num_exes} tries"
    if job.error is not None:
        sentence += f": {job.error.title or job.error.name}"
        code = job.decisive.exit_code if job.decisive else None
        sentence += f" (exit code {code})" if code else ""
    if job.message:
        sentence += f": {job.message}"
    return sentence
