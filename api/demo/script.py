"""The demo's course: submit everything at once, watch it, cancel what is to be canceled, check how it ended."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from api.demo import checks
from api.demo.cases import DemoCases
from api.demo.results import CheckResult, RunningCase
from api.demo.screen import DemoScreen
from api.up.embedded import processes
from ganger import Client, ClientError, Job, Refused
from ganger.answers import Explanation
from ganger.cli.data import job_types

POLL_S = 0.1
# Everything is over long before on any machine that the demo is meant for.
END_WITHIN_S = 300.0
# A tree is dead within the grace of its node, and a moment.
DEAD_WITHIN_S = 60.0


def run(api: Client, cases: DemoCases, screen: DemoScreen) -> list[RunningCase]:
    """Run all cases side by side and return them, each with its job in full and none of its processes running."""
    job_types.put(api, cases.example.job_type)
    running = _submit(api, cases)
    screen.progress(f"{len(running)} jobs submitted")
    deadline = time.monotonic() + END_WITHIN_S
    with screen.live(running) as redraw:
        while _watch(api, running) and time.monotonic() < deadline:
            redraw()
            time.sleep(POLL_S)
        redraw()
    for each in running:
        _finish(api, each)
    return running


def check(api: Client, running: Sequence[RunningCase], *, local: bool) -> list[CheckResult]:
    """Return what is to be said of every job, and of all of them together."""
    results = [checks.check(api, each, each.job, local=local) for each in running if each.job is not None]
    shards = [each.job for each in running if each.job is not None and each.case.table is not None]
    return [*results, checks.check_overlap(shards)]


def save_outputs(api: Client, running: Sequence[RunningCase], folder: Path) -> None:
    """Fetch the files that the jobs made, a folder per job."""
    for each in running:
        for output in each.job.outputs if each.job is not None else ():
            for file in output.files:
                target = folder / each.case.name.replace(" ", "-") / Path(file.file_name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                api.files.download(file.id, target)


def _submit(api: Client, cases: DemoCases) -> list[RunningCase]:
    """Send the files, then all jobs in one call: all of them are made, or none."""
    code = api.files.upload(cases.example.program).id
    requests = []
    for case in cases.cases:
        request = case.request
        if case.table is not None:
            places = api.files.upload_from(io.BytesIO(case.table.content), name=case.table.name).id
            request = replace(request, inputs={"program": code, "places": places})
        requests.append(request)
    ids = api.jobs.submit_many(requests)
    return [RunningCase(case, job_id) for case, job_id in zip(cases.cases, ids, strict=True)]


def _watch(api: Client, running: Sequence[RunningCase]) -> bool:
    """Read once the state of all jobs and their processes, and cancel what is due; return whether anything still goes on."""
    jobs = api.jobs.statuses([each.job_id for each in running])
    watched = [each.case.mark for each in running if each.case.is_watched]
    processes_of = processes.carrying(watched)
    for each in running:
        each.job = jobs.get(each.job_id, each.job)
        each.most_processes = max(each.most_processes, len(processes_of.get(each.case.mark, ())))
        if each.job is not None and not each.job.is_final and not each.canceled:
            _cancel_if_due(api, each, each.job)
    return not all(each.job is not None and each.job.is_final for each in running)


def _cancel_if_due(api: Client, each: RunningCase, job: Job) -> None:
    case = each.case
    if case.cancel_when_seen is not None and job.status == "RUNNING":
        # On another machine its processes cannot be seen: there it is enough that it runs.
        each.canceled = each.most_processes >= case.cancel_when_seen or _runs_for_a_while(job)
    elif case.cancel_when_explained and job.status == "QUEUED":
        each.explained = _explained(api, each.job_id)
        each.canceled = checks.says_never(each.explained) or _waits_for_a_while(job)
    if each.canceled:
        api.jobs.cancel(each.job_id)


def _explained(api: Client, job_id: int) -> Explanation | None:
    try:
        return api.jobs.explain(job_id)
    except Refused:  # its checks will say so
        return None


def _finish(api: Client, each: RunningCase) -> None:
    try:
        each.job = api.jobs.wait_dead(each.job_id, timeout_s=DEAD_WITHIN_S)
    except ClientError:  # it never ended: its checks will say so
        each.job = api.jobs.get(each.job_id)
    if each.case.is_watched:
        left = processes.carrying([each.case.mark])[each.case.mark]
        each.left = [f"{process.pid} {process.command}" for process in left]


PATIENCE_S = 5.0


def _runs_for_a_while(job: Job) -> bool:
    return _age_s(job.started) > PATIENCE_S


def _waits_for_a_while(job: Job) -> bool:
    return _age_s(job.queued) > PATIENCE_S


def _age_s(since: datetime | None) -> float:
    return time.time() - since.timestamp() if since is not None else 0.0
