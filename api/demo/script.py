"""The demo's course: submit everything at once, watch it, cancel what is to be canceled, judge how it ended."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from api.demo import checks, traces
from api.demo.cases import Act, Program
from api.demo.screen import Curtain, Finding
from ganger import Client, ClientError, Job, Refused
from ganger.cli.data import job_types

POLL_S = 0.1
# Everything is over long before on any machine that the demo is meant for.
PLAY_WITHIN_S = 300.0
# A tree is dead within the grace of its node, and a moment.
DEAD_WITHIN_S = 60.0


@dataclass(slots=True)
class Part:
    """One act on the stage: its job, what was seen of it while it ran, and what was left when it had ended."""

    act: Act
    job_id: int
    job: Job | None = None
    most_processes: int = 0
    left: list[str] = field(default_factory=list)
    explained: dict[str, Any] | None = None
    canceled: bool = False


def play(api: Client, program: Program, house: Curtain) -> list[Part]:
    """Run all acts side by side and return their parts, each job in full and dead."""
    job_types.put(api, program.example.job_type)
    parts = _submit(api, program)
    house.tell(f"{len(parts)} jobs submitted")
    deadline = time.monotonic() + PLAY_WITHIN_S
    with house.live(parts) as picture:
        while _watch(api, parts) and time.monotonic() < deadline:
            picture()
            time.sleep(POLL_S)
        picture()
    for part in parts:
        _finish(api, part)
    return parts


def judge(api: Client, parts: Sequence[Part], *, local: bool) -> list[Finding]:
    """Return what is to be said of every job, and of all of them together."""
    findings = [checks.of(api, part.act, part.job, _seen(part, local=local)) for part in parts if part.job is not None]
    shards = [part.job for part in parts if part.job is not None and part.act.table is not None]
    return [*findings, checks.together(shards)]


def keep(api: Client, parts: Sequence[Part], folder: Path) -> None:
    """Fetch the files that the jobs made, a folder per job."""
    for part in parts:
        for output in part.job.outputs if part.job is not None else ():
            for file in output.files:
                target = folder / part.act.name.replace(" ", "-") / Path(file.file_name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                api.files.download(file.id, target)


def _submit(api: Client, program: Program) -> list[Part]:
    """Send the files, then all jobs in one call: all of them are made, or none."""
    code = api.files.upload(program.example.program).id
    requests = []
    for act in program.acts:
        request = act.request
        if act.table is not None:
            places = api.files.upload_from(io.BytesIO(act.table.content), name=act.table.name).id
            request = replace(request, inputs={"program": code, "places": places})
        requests.append(request)
    ids = api.jobs.submit_many(requests)
    return [Part(act, job_id) for act, job_id in zip(program.acts, ids, strict=True)]


def _watch(api: Client, parts: Sequence[Part]) -> bool:
    """Look once at all jobs and their processes, and cancel what is due; tells whether anything still goes on."""
    found = api.jobs.statuses([part.job_id for part in parts])
    watched = [part.act.mark for part in parts if part.act.is_watched]
    running = traces.carrying(watched)
    for part in parts:
        part.job = found.get(part.job_id, part.job)
        part.most_processes = max(part.most_processes, len(running.get(part.act.mark, ())))
        if part.job is not None and not part.job.is_final and not part.canceled:
            _cancel_if_due(api, part, part.job)
    return not all(part.job is not None and part.job.is_final for part in parts)


def _cancel_if_due(api: Client, part: Part, job: Job) -> None:
    act = part.act
    if act.cancel_when_seen is not None and job.status == "RUNNING":
        # On another machine its processes cannot be seen: there it is enough that it runs.
        part.canceled = part.most_processes >= act.cancel_when_seen or _runs_for_a_while(job)
    elif act.cancel_when_explained and job.status == "QUEUED":
        part.explained = _explained(api, part.job_id)
        part.canceled = checks.says_never(part.explained) or _waits_for_a_while(job)
    if part.canceled:
        api.jobs.cancel(part.job_id)


def _explained(api: Client, job_id: int) -> dict[str, Any] | None:
    try:
        return api.jobs.explain(job_id)
    except Refused:  # its checks will say so
        return None


def _finish(api: Client, part: Part) -> None:
    try:
        part.job = api.jobs.wait_dead(part.job_id, timeout_s=DEAD_WITHIN_S)
    except ClientError:  # it never ended: its checks will say so
        part.job = api.jobs.get(part.job_id)
    if part.act.is_watched:
        part.left = [f"{one.pid} {one.command}" for one in traces.naming(part.act.mark)]


def _seen(part: Part, *, local: bool) -> checks.Seen:
    return checks.Seen(part.most_processes, tuple(part.left), part.explained, local=local)


PATIENCE_S = 5.0


def _runs_for_a_while(job: Job) -> bool:
    return _age_s(job.started) > PATIENCE_S


def _waits_for_a_while(job: Job) -> bool:
    return _age_s(job.queued) > PATIENCE_S


def _age_s(since: Any) -> float:
    return time.time() - since.timestamp() if since is not None else 0.0
