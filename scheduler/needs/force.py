"""Force: an operator says that a FAILED or BLOCKED job is done, with the outputs that its followers are to have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Connection

from scheduler.documents import DataEntry, JobResults, JsonValue
from scheduler.errors import Conflict, FaultList
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.interface import DeclaredOutput, Interface
from scheduler.rules.lifecycle.moves import JobEvent, allows
from scheduler.runtime import Runtime
from scheduler.store.admin import job_types
from scheduler.store.jobs import jobs, submissions
from scheduler.store.needs import results


def done(
    rt: Runtime, caller: Caller, job_id: JobId, outputs: Mapping[str, JsonValue], *, reason: str | None = None
) -> None:
    """Make a FAILED or BLOCKED job COMPLETED with these outputs, which must fit its type; the caller may see the job.

    One transaction. Raises InvalidInput naming each output at fault, Conflict for a job that stands elsewhere.
    """
    with rt.db.begin() as tx:
        job = jobs.lock(tx, [job_id])[job_id]
        if not allows(JobEvent.FORCE, job.status):
            raise Conflict(f"only a FAILED or BLOCKED job is said to be done; this one is {job.status}")
        if job.of_data_set:
            raise Conflict("a job of a data set is done only by its program, which makes the version; ask for it again")
        found = _results(tx, job, outputs)
        jobs.move(tx, JobEvent.FORCE, [jobs.JobMove(job.id, job.attempt, reason=reason)], caller.name)
        results.write(tx, {job_id: found})
    rt.nudge("tick")


def _results(tx: Connection, job: jobs.LockedJob, outputs: Mapping[str, JsonValue]) -> JobResults:
    """Return outputs in the form in which results are stored."""
    documents = job_types.definitions(tx, [job.revision_id])
    interface: Interface = definitions.read(documents[job.revision_id]).interface
    declared = {one.name: one for one in interface.outputs}
    faults = FaultList()
    for name in outputs:
        if name not in declared:
            faults.note(f"the job's type has no output {name!r}", field=f"outputs.{name}")
    entries: list[DataEntry] = []
    properties: dict[str, JsonValue] = {}
    for one in interface.outputs:
        value = outputs.get(one.name)
        if value is None:
            if one.required:
                faults.note(f"the output {one.name!r} is required: say what it is", field=f"outputs.{one.name}")
        elif one.type == "property":
            properties[one.name] = value
        else:
            entry = _files(one, value, faults)
            entries += [entry] if entry is not None else []
    wanted = {one for entry in entries for one in entry.get("file_ids", [entry.get("file_id", 0)])}
    there = submissions.files(tx, job.project_id, sorted(wanted)) if wanted else {}
    for missing in sorted(wanted - there.keys()):
        faults.note(f"there is no file {missing} in the job's project", field="outputs")
    faults.raise_all()
    return {
        "version": "1.0",
        "output_data": entries,
        **cast("JobResults", {"properties": properties} if properties else {}),
    }


def _files(declared: DeclaredOutput, value: JsonValue, faults: FaultList) -> DataEntry | None:
    ids = value if isinstance(value, list) else [value]
    if not ids or not all(type(one) is int and one > 0 for one in ids) or (declared.type == "file" and len(ids) > 1):
        wanted = "the id of a file" if declared.type == "file" else "ids of files"
        faults.note(f"the output {declared.name!r} is {wanted}", field=f"outputs.{declared.name}")
        return None
    numbers = cast("list[int]", ids)
    return (
        {"name": declared.name, "file_id": numbers[0]}
        if declared.type == "file"
        else {"name": declared.name, "file_ids": numbers}
    )
