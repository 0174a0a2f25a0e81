"""The end of a job's wait for its inputs: they are there and as they were asked for, or the job fails and says why.

Said any number of times, by anybody, and whatever else happens at once, a job is queued once: the first who finds it
PENDING_UPLOAD, under its row lock, takes the files, and everybody after finds it elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.documents import DataEntry, JobDataDocument
from scheduler.errors import Conflict, NotFound
from scheduler.identifiers import FileId, JobId
from scheduler.needs.ready import ready
from scheduler.rules.job_type import awaited
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.definition import Definition, scaled, stepped
from scheduler.rules.job_type.interface import VERSION, DeclaredInput, Interface
from scheduler.rules.lifecycle.failures import INPUT_MISSING, INPUT_REFUSED
from scheduler.rules.lifecycle.moves import JobEvent, JobStatus
from scheduler.runtime import Runtime
from scheduler.store.admin import errors_by_name
from scheduler.store.jobs import jobs
from scheduler.store.jobs.jobs import LockedJob
from scheduler.store.uploads import inputs, uploads
from scheduler.store.uploads.inputs import JobAmounts, JobToFill
from scheduler.store.uploads.uploads import UploadRow

MIB = 1024 * 1024
_BATCH = 500


@dataclass(frozen=True, slots=True)
class _InputFault:
    """Why a job fails without a try: the name of the error, and the sentence."""

    error: str
    message: str


def uploaded(rt: Runtime, job_id: JobId, actor: str) -> None:
    """Take what was uploaded for a job, and queue it; a job whose inputs are missing or wrong is FAILED. Safe to repeat.

    One transaction. A job that does not wait for an upload any more is left as it is. Raises NotFound, and Conflict for a
    job that never awaited any.
    """
    with rt.db.begin() as tx:
        job = jobs.lock(tx, [job_id]).get(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id}")
        rows = uploads.of_jobs(tx, [job_id])
        if not rows:
            raise Conflict(f"job {job_id} awaits no upload")
        if job.status != JobStatus.PENDING_UPLOAD:
            return
        to_fill = inputs.read(tx, [job_id])[0]
        definition = definitions.read(to_fill.definition)
        refusal = _refusal(definition.interface, rows)
        if refusal is not None:
            _refuse(tx, [job], {job_id: refusal}, actor)
        else:
            _receive(tx, job, to_fill, definition, rows, actor)
    rt.nudge("tick")


def end_overdue(rt: Runtime) -> int:
    """Let jobs fail whose inputs were not uploaded in time; return their number."""
    with rt.db.begin() as tx:
        late = uploads.overdue(tx, _BATCH)
        if not late:
            return 0
        locked = jobs.lock(tx, late)
        missing: dict[JobId, list[str]] = {}
        for row in uploads.of_jobs(tx, late):
            missing.setdefault(row.job_id, []).append(row.name)
        refusals = {
            job_id: _InputFault(
                INPUT_MISSING, f"nobody said in time that its upload is done; it awaited {', '.join(map(repr, names))}"
            )
            for job_id, names in missing.items()
        }
        _refuse(tx, [locked[job_id] for job_id in late], refusals, "scheduler")
    rt.nudge("tick")
    return len(late)


def _refusal(interface: Interface, rows: Sequence[UploadRow]) -> _InputFault | None:
    """Return why what has come for a job is not what it awaits, all of it in one sentence; None if it is."""
    declared = {one.name: one for one in interface.inputs}
    wrong = {row.name: awaited.complaint(declared[row.name], row.asked, row.came) for row in rows}
    told = [sentence for sentence in wrong.values() if sentence is not None]
    if not told:
        return None
    is_missing = all(row.came is None for row in rows if wrong[row.name] is not None)
    return _InputFault(INPUT_MISSING if is_missing else INPUT_REFUSED, "; ".join(told))


def _refuse(tx: Connection, waiting: Sequence[LockedJob], refusals: dict[JobId, _InputFault], actor: str) -> None:
    errors = errors_by_name.common(tx)
    steps = [
        jobs.JobMove(
            job.id,
            job.attempt,
            error_id=errors[refusals[job.id].error].id,
            reason=f"{refusals[job.id].error}: {refusals[job.id].message}",
        )
        for job in waiting
    ]
    moved = jobs.move(tx, JobEvent.REFUSE, steps, actor)
    inputs.set_messages(tx, [(job_id, refusals[job_id].message) for job_id in moved])


def _receive(
    tx: Connection, job: LockedJob, to_fill: JobToFill, definition: Definition, rows: Sequence[UploadRow], actor: str
) -> None:
    declared = {one.name: one for one in definition.interface.inputs}
    media_types = {
        row.id: awaited.media_type(declared[row.name], row.asked, came)
        for row in rows
        if (came := row.came) is not None
    }
    file_ids = uploads.take(tx, [job.id], media_types)
    data = _filled(to_fill.data, definition.interface, {row.name: file_ids.get(row.id) for row in rows})
    amounts = _amounts(tx, to_fill, definition, data, rows[0])
    inputs.fill(tx, [(to_fill, data, amounts)])
    step = jobs.JobMove(job.id, job.attempt)
    jobs.move(tx, JobEvent.RECEIVE, [step], actor)
    if not to_fill.is_later and not to_fill.has_needs:  # else its time, or the resolver, which is told, queues it
        ready(tx, [step])


def _filled(data: JobDataDocument, interface: Interface, files: dict[str, FileId | None]) -> JobDataDocument:
    """Return a job's data with these files, its inputs in the order of the interface."""
    entries = {entry["name"]: entry for entry in data.get("input_data", ())}
    for declared in interface.inputs:
        file_id = files.get(declared.name)
        if file_id is not None:
            entries[declared.name] = _entry(declared, file_id)
    ordered = [entries[declared.name] for declared in interface.inputs if declared.name in entries]
    return {"version": VERSION, **data, "input_data": ordered, "output_data": data.get("output_data", [])}


def _entry(declared: DeclaredInput, file_id: FileId) -> DataEntry:
    if declared.type == "files":
        return {"name": declared.name, "file_ids": [file_id]}
    return {"name": declared.name, "file_id": file_id}


def _amounts(
    tx: Connection, job: JobToFill, definition: Definition, data: JobDataDocument, upload: UploadRow
) -> JobAmounts:
    """Return the amounts that follow from all of a job's input; what it asked for itself stays."""
    entries = data["input_data"]
    ids = {one for entry in entries for one in entry.get("file_ids", ())}
    ids |= {entry["file_id"] for entry in entries if "file_id" in entry}
    mib = -(-inputs.size_of(tx, sorted(ids)) // MIB)
    disk_in = mib * 1000
    mem, shape_mem, disk_out, shape_disk = job.mem, job.shape_mem, job.disk_out, job.disk_out
    if upload.mem_grows:
        grown = scaled(definition.mem_mult, mib)
        mem, shape_mem = definition.mem + grown, definition.mem + stepped(grown)
    if upload.disk_grows:
        grown = scaled(definition.disk_out_mult, mib)
        disk_out, shape_disk = definition.disk_out + grown, definition.disk_out + stepped(grown)
    return JobAmounts(mem, disk_in, disk_out, shape_mem, shape_disk + stepped(disk_in))
