"""Checks that compare what really happened with what should have: each returns complaints, none if all is as it should be."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from api.demo.cases import FAMILY_SIZE, DemoCase
from api.demo.results import CheckResult, RunningCase
from ganger import Client, Execution, File, Job
from ganger.answers import Explanation

KML = "http://www.opengis.net/kml/2.2"
TOO_LARGE = "node-too-small"
PHASES = ("pre", "job", "post")


def check(api: Client, running: RunningCase, job: Job, *, local: bool) -> CheckResult:
    """Return what is to be said of one job; `local` tells whether its processes had to be on this machine."""
    case = running.case
    complaints = [*_ending(case, job), *_tries(case, job)]
    if case.table is not None and job.status == "COMPLETED":
        complaints += [*_phases(job), *_files(api, case.table.rows, job)]
    if case.is_watched and not case.cancel_when_explained:
        complaints += _processes(running, local=local)
    if case.cancel_when_explained and not says_never(running.explained):
        complaints.append(f"nobody said that no node can ever take it: {running.explained}")
    return CheckResult(what=case.name, job=job, complaints=complaints, note=_note(running, job))


def check_overlap(jobs: Sequence[Job]) -> CheckResult:
    """Return the result for all jobs of the table: that they ran beside each other."""
    most = _most_at_once([execution for job in jobs for execution in job.job_exes])
    complaints = [] if most > 1 else ["they ran one after the other"]
    return CheckResult(what=f"{len(jobs)} footprints side by side", complaints=complaints, note=f"up to {most} at once")


def says_never(explained: Explanation | None) -> bool:
    """Tell whether an explanation says that no node there is can ever take the job."""
    reasons = explained["reasons"] if explained else []
    return any(reason.get("kind") == TOO_LARGE for reason in reasons)


def _ending(case: DemoCase, job: Job) -> list[str]:
    complaints = [] if job.status == case.ends else [f"it is {job.status}, not {case.ends}"]
    if job.status == "FAILED" and case.ends != "FAILED" and job.error is not None:
        complaints.append(f"error {job.error.name}: {job.message or job.error.title}")
    if case.error_has is not None and (job.error is None or case.error_has not in job.error.name):
        complaints.append(f"its error is {job.error.name if job.error else None}, not one of {case.error_has}")
    return complaints


def _tries(case: DemoCase, job: Job) -> list[str]:
    complaints = [] if job.num_exes == case.tries else [f"{job.num_exes} tries, not {case.tries}"]
    codes = [execution.job_exit_code for execution in job.job_exes]
    if case.exit_codes and codes != list(case.exit_codes):
        complaints.append(f"exit codes {codes}, not {list(case.exit_codes)}")
    return complaints


def _phases(job: Job) -> list[str]:
    latest = job.latest
    if latest is None:
        return ["it has no execution"]
    return [
        f"the phase {phase} did not run to a good end"
        for phase in PHASES
        if latest.seconds(phase) is None or getattr(latest, f"{phase}_exit_code") != 0
    ]


def _files(api: Client, rows: int, job: Job) -> list[str]:
    outputs = {output.name: output for output in job.outputs}
    counted = outputs["placemarks"].value if "placemarks" in outputs else None
    complaints = [] if counted == rows else [f"the job counted {counted} placemarks for {rows} rows"]
    files = outputs["footprint"].files if "footprint" in outputs else []
    if len(files) != 1:
        return [*complaints, f"{len(files)} files, not one"]
    return [*complaints, *_content(api, files[0], rows)]


def _content(api: Client, file: File, rows: int) -> list[str]:
    content = api.files.read(file.id)
    complaints = []
    if len(content) != file.file_size:
        complaints.append(f"{len(content)} bytes, not {file.file_size}")
    if hashlib.sha256(content).hexdigest() != file.sha256:
        complaints.append("its SHA-256 is not what the API says")
    placemarks = sum(1 for _ in ET.fromstring(content).iter(f"{{{KML}}}Placemark"))  # noqa: S314 - our own job wrote it
    if placemarks != rows:
        complaints.append(f"{placemarks} placemarks for {rows} rows")
    return complaints


def _processes(running: RunningCase, *, local: bool) -> list[str]:
    case = running.case
    complaints = [f"left behind: {process}" for process in running.left]
    wanted = case.cancel_when_seen or (FAMILY_SIZE if case.error_has else 0)
    if local and running.most_processes < wanted:
        complaints.append(f"only {running.most_processes} of its processes were seen while it ran, not {wanted}")
    return complaints


def _note(running: RunningCase, job: Job) -> str:
    case = running.case
    if case.cancel_when_explained:
        return running.explained["summary"] if running.explained else ""
    if case.table is not None:
        return f"{case.table.rows} rows"
    if case.is_watched and running.most_processes:
        return f"{running.most_processes} processes seen, {len(running.left)} left"
    return (job.error.title or job.error.name) if job.error else ""


def _most_at_once(executions: Sequence[Execution]) -> int:
    """Return how many overlapped at the busiest moment; one that ends as another starts does not."""
    changes = [(execution.started, 1) for execution in executions if execution.started and execution.ended]
    changes += [(execution.ended, -1) for execution in executions if execution.started and execution.ended]
    most = running = 0
    for _, change in sorted(changes, key=lambda entry: (entry[0], entry[1])):
        running += change
        most = max(most, running)
    return most
