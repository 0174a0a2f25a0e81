"""What really happened, against what should have: each check returns complaints, none if all is as it should be."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.demo.cases import FAMILY_SIZE, Act
from api.demo.screen import Finding
from ganger import Client, Execution, File, Job

KML = "http://www.opengis.net/kml/2.2"
TOO_LARGE = "node-too-small"
PHASES = ("pre", "job", "post")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a job's processes on this machine. `local` says whether they had to be here."""

    most_processes: int
    left: Sequence[str]
    explained: dict[str, Any] | None
    local: bool


def of(api: Client, act: Act, job: Job, seen: Seen) -> Finding:
    """Return the finding for one job."""
    complaints = [*_ending(act, job), *_tries(act, job)]
    if act.table is not None and job.status == "COMPLETED":
        complaints += [*_phases(job), *_files(api, act.table.rows, job)]
    if act.is_watched and not act.cancel_when_explained:
        complaints += _processes(act, seen)
    if act.cancel_when_explained and not says_never(seen.explained):
        complaints.append(f"nobody said that no node can ever take it: {seen.explained}")
    return Finding(what=act.name, job=job, complaints=complaints, note=_note(act, job, seen))


def together(jobs: Sequence[Job]) -> Finding:
    """Return the finding for all jobs of the table: that they ran beside each other."""
    most = _most_at_once([one for job in jobs for one in job.job_exes])
    complaints = [] if most > 1 else ["they ran one after the other"]
    return Finding(what=f"{len(jobs)} footprints side by side", complaints=complaints, note=f"up to {most} at once")


def says_never(explained: dict[str, Any] | None) -> bool:
    """Tell whether an explanation says that no node there is can ever take the job."""
    reasons = (explained or {}).get("reasons") or []
    return any(reason.get("kind") == TOO_LARGE for reason in reasons)


def _ending(act: Act, job: Job) -> list[str]:
    complaints = [] if job.status == act.ends else [f"it is {job.status}, not {act.ends}"]
    if job.status == "FAILED" and act.ends != "FAILED" and job.error is not None:
        complaints.append(f"error {job.error.name}: {job.message or job.error.title}")
    if act.error_has is not None and (job.error is None or act.error_has not in job.error.name):
        complaints.append(f"its error is {job.error.name if job.error else None}, not one of {act.error_has}")
    return complaints


def _tries(act: Act, job: Job) -> list[str]:
    complaints = [] if job.num_exes == act.tries else [f"{job.num_exes} tries, not {act.tries}"]
    codes = [one.job_exit_code for one in job.job_exes]
    if act.exit_codes and codes != list(act.exit_codes):
        complaints.append(f"exit codes {codes}, not {list(act.exit_codes)}")
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
    found = sum(1 for _ in ET.fromstring(content).iter(f"{{{KML}}}Placemark"))  # noqa: S314 - our own job wrote it
    if found != rows:
        complaints.append(f"{found} placemarks for {rows} rows")
    return complaints


def _processes(act: Act, seen: Seen) -> list[str]:
    complaints = [f"left behind: {one}" for one in seen.left]
    wanted = act.cancel_when_seen or (FAMILY_SIZE if act.error_has else 0)
    if seen.local and seen.most_processes < wanted:
        complaints.append(f"only {seen.most_processes} of its processes were seen while it ran, not {wanted}")
    return complaints


def _note(act: Act, job: Job, seen: Seen) -> str:
    if act.cancel_when_explained:
        return str((seen.explained or {}).get("summary") or "")
    if act.table is not None:
        return f"{act.table.rows} rows"
    if act.is_watched and seen.most_processes:
        return f"{seen.most_processes} processes seen, {len(seen.left)} left"
    return (job.error.title or job.error.name) if job.error else ""


def _most_at_once(executions: Sequence[Execution]) -> int:
    """Return how many overlapped at the busiest moment; one that ends as another starts does not."""
    changes = [(one.started, 1) for one in executions if one.started and one.ended]
    changes += [(one.ended, -1) for one in executions if one.started and one.ended]
    most = running = 0
    for _, change in sorted(changes, key=lambda entry: (entry[0], entry[1])):
        running += change
        most = max(most, running)
    return most
