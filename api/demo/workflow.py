"""The demo's workflow: airports are split, made into footprints side by side, merged and checked, with one part that fails twice."""

from __future__ import annotations

import json
from pathlib import Path

from api.demo.examples import Example
from api.demo.results import CheckResult
from ganger import Client, ClientError
from ganger.cli.data import job_types
from ganger.documents import JsonObject

SHARDS, TRIES = 20, 3
STUBBORN = 7
END_WITHIN_S = 240.0
WHAT = "split, 20 footprints, merge, check"


def begin(api: Client, example: Example) -> int:
    """Send what the workflow needs and run it; return its id."""
    folder = example.folder.parent / "airports-workflow"
    for definition in json.loads((folder / "job-types.json").read_text()):
        job_types.put(api, definition)
    files = {
        "places": example.folder / "data" / "airports.csv",
        "program": folder / "airports.py",
        "maker": example.program,
    }
    inputs = {name: api.files.upload(path).id for name, path in files.items()}
    made = api.workflows.run((folder / "airports.yaml").read_text(), inputs=inputs, labels={"demo": "yes"})
    return int(made["id"])


def check(api: Client, workflow_id: int) -> CheckResult:
    """Return what is to be said of the workflow, once it has ended."""
    try:
        ended = api.workflows.wait(workflow_id, timeout_s=END_WITHIN_S)
    except ClientError as error:
        return CheckResult(what=WHAT, complaints=[str(error)])
    jobs = list(api.workflows.jobs(workflow_id))
    complaints = [] if ended["state"] == "COMPLETED" else [f"it is {ended['state']}: {ended['culprit']}"]
    shards = [job for job in jobs if job["job"] == "footprint"]
    if len(shards) != SHARDS:
        complaints.append(f"it made {len(shards)} footprints, not {SHARDS}")
    complaints += _tries(api, shards)
    return CheckResult(
        what=WHAT, complaints=complaints, note=f"{ended['counts']['completed']} jobs, one with {TRIES} tries"
    )


def save(api: Client, workflow_id: int, folder: Path) -> None:
    """Fetch the map that the workflow made."""
    for job in api.workflows.jobs(workflow_id):
        if job["job"] == "merge":
            for output in api.jobs.get(job["job_id"]).outputs:
                for file in output.files:
                    folder.mkdir(parents=True, exist_ok=True)
                    api.files.download(file.id, folder / Path(file.file_name).name)


def _tries(api: Client, shards: list[JsonObject]) -> list[str]:
    """Complain unless one part was tried three times, and no other more than once."""
    tried = {job["member"]: api.jobs.get(job["job_id"]).tries for job in shards}
    wrong = {number: tries for number, tries in tried.items() if tries != (TRIES if number == STUBBORN else 1)}
    return [f"parts were tried otherwise than expected: {wrong}"] if wrong else []
