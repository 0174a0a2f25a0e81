"""After submitting: print the new jobs, or wait for them, show their progress, and end with their exit status."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from ganger.cli import screen, streams
from ganger.cli.failures import FAILED, INTERRUPTED
from ganger.cli.jobs import failure, logs

if TYPE_CHECKING:
    from ganger import Client, Job


FOLLOWED_AT_ONCE = 8
"""Each takes a thread of the API; jobs that come later are printed when one of these has ended."""

MOST_TOLD, MOST_EXPLAINED = 20, 3


def after(api: Client, job_ids: Sequence[int], *, wait: bool, follow: bool, as_json: bool) -> int:
    """Return the exit status: 0 when nothing is waited for, else the job's own; 130 on Ctrl-C, the jobs go on."""
    if not wait and not follow:
        _print_made(api, job_ids, as_json=as_json)
        return 0
    try:
        if len(job_ids) > 1 and follow and not as_json:
            return _follow_many(api, job_ids)
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
        screen.note(f"ganger: {failure.sentence(job)}")
        return job.exit_code
    if not as_json:
        _print_ids([job_id])
    with _Line(quiet=as_json) as line:
        job = api.jobs.wait(job_id, changed=lambda changed_job: line.show(_progress(changed_job)))
    if as_json:
        screen.document(job.document)
    else:
        screen.note(f"ganger: {failure.sentence(job)}")
        failure.explain(api, job)
    return job.exit_code


def _print_ids(job_ids: Sequence[int]) -> None:
    """Print the ids alone, at once, where a script reads them: a person sees them in the last line."""
    if not screen.terminal():
        for job_id in job_ids:
            screen.text(str(job_id))
        streams.flush()


def _wait_many(api: Client, job_ids: Sequence[int], *, as_json: bool) -> int:
    seen: dict[int, str] = {}

    def show(job: Job) -> None:
        seen[job.id] = job.status
        counts = Counter(seen.values())
        line.show(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))

    if not as_json:
        _print_ids(job_ids)
    with _Line(quiet=as_json) as line:
        ended = api.jobs.wait_all(job_ids, changed=show)
    completed = sum(job.status == "COMPLETED" for job in ended.values())
    if as_json:
        for job_id in job_ids:
            screen.line(ended[job_id].document)
    else:
        _tell_ends(api, [ended[job_id] for job_id in job_ids])
    return 0 if completed == len(ended) else FAILED


def _follow_many(api: Client, job_ids: Sequence[int]) -> int:
    """Print what jobs write, each line behind the id of its job, and how each of them ended."""
    prefixes = logs.PrefixedOutput(job_ids)
    with ThreadPoolExecutor(FOLLOWED_AT_ONCE) as pool:
        for ended in [pool.submit(logs.follow_job, api, job_id, prefixes=prefixes) for job_id in job_ids]:
            ended.result()
    jobs = api.jobs.wait_all(job_ids)
    _tell_ends(api, [jobs[job_id] for job_id in job_ids], with_last_lines=False)
    return 0 if all(job.status == "COMPLETED" for job in jobs.values()) else FAILED


def _tell_ends(api: Client, jobs: Sequence[Job], *, with_last_lines: bool = True) -> None:
    """Print how jobs ended that did not complete, the first ones with what they wrote last, and how many did."""
    bad = [job for job in jobs if job.status != "COMPLETED"]
    for number, job in enumerate(bad[:MOST_TOLD]):
        full = api.jobs.get(job.id) if number < MOST_EXPLAINED else job
        screen.note(f"ganger: {failure.sentence(full)}")
        if with_last_lines and number < MOST_EXPLAINED:
            failure.explain(api, full)
    if len(bad) > MOST_TOLD:
        screen.note(f"ganger: and {len(bad) - MOST_TOLD} more; ganger jobs --status FAILED lists them")
    screen.note(f"ganger: {len(jobs) - len(bad)} of {len(jobs)} jobs COMPLETED")


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
