"""What a job asks for as its columns and its shape: its own wish, else its type's, with what follows from the size of its input."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import orjson

from scheduler.documents import ConstraintDocument, Document, JsonValue, ShapeOptions
from scheduler.identifiers import ProjectId
from scheduler.jobs.new_job import NewJob
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type import runners
from scheduler.rules.job_type.definition import Definition, scaled, stepped
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.runtime import Runtime
from scheduler.store.admin.job_types import ResolvedType
from scheduler.store.jobs.shapes import NewShape
from scheduler.store.jobs.submissions import JobGroup
from scheduler.store.leader.conversion import NEW_SHAPE
from scheduler.store.uploads.uploads import NewUpload


def draft(
    job: NewJob, kind: ResolvedType, revision: Definition, input_mib: int, project_id: ProjectId, now: datetime
) -> tuple[NewShape, JobGroup]:
    """Return a group's shape, and its columns but for the id of that shape."""
    later = job.not_before is not None and job.not_before > now
    group = JobGroup(
        job_type_id=kind.job_type_id,
        revision_id=kind.revision_id,
        shape_id=NEW_SHAPE,
        status=_status(job, later=later),
        priority=_first(job.priority, revision.priority),
        max_tries=_first(job.max_tries, revision.max_tries),
        requested_tries=_first(job.max_tries, revision.max_tries),
        members=job.count,
        # Its own wish as it is, else its type's with what grows with the input.
        cpus=_first(job.cpus, revision.cpus),
        mem=_first(job.mem, revision.mem + scaled(revision.mem_mult, input_mib)),
        disk_in=input_mib * 1_000,
        disk_out=_first(job.disk_out, revision.disk_out + scaled(revision.disk_out_mult, input_mib)),
        timeout_s=job.timeout_s if job.timeout_s is not None else revision.timeout_s,
        not_before=job.not_before if later else None,
        requested_not_before=job.not_before,
        is_held=job.held,
        hold_reason=(job.hold_reason or "held when it was submitted") if job.held else None,
        pool=job.pool,
        overrides=orjson.dumps(overrides(job)).decode(),
    )
    return _shape(job, revision, group, project_id, input_mib), group


def _status(job: NewJob, *, later: bool) -> JobStatus:
    if job.awaits:
        return JobStatus.PENDING_UPLOAD
    return JobStatus.PENDING if later or job.needs or job.conditions or job.cache else JobStatus.QUEUED


def _shape(job: NewJob, revision: Definition, group: JobGroup, project_id: ProjectId, input_mib: int) -> NewShape:
    """Return what placement groups by; amounts that follow from the input are stepped, so that shapes are few."""
    mem, disk_out = group.mem, group.disk_out
    if job.mem is None:
        mem = revision.mem + stepped(scaled(revision.mem_mult, input_mib))
    if job.disk_out is None:
        disk_out = revision.disk_out + stepped(scaled(revision.disk_out_mult, input_mib))
    return NewShape(
        project_id=project_id,
        job_type_id=group.job_type_id,
        priority=group.priority,
        cpus=group.cpus,
        mem=mem,
        disk=disk_out + stepped(group.disk_in),
        pool=job.pool,
        custom={**revision.custom, **(job.custom or {})},
        constraints=_constraints(job, revision),
        options={"timeout_s": group.timeout_s, **_placing(job, revision), **_gang(job)},
    )


def _placing(job: NewJob, revision: Definition) -> ShapeOptions:
    """Return what a job would like of its nodes; nothing where it says nothing, so that shapes are few."""
    meant = revision.with_overrides(job.overrides or {})
    said = {name: getattr(meant, name) for name in definitions.PLACING}
    return cast("ShapeOptions", {name: value for name, value in said.items() if value})


def _gang(job: NewJob) -> ShapeOptions:
    counted: ShapeOptions = {"count": job.count} if job.count > 1 else {}
    return counted if job.serial is None else {**counted, "serial": job.serial}


def _constraints(job: NewJob, revision: Definition) -> list[ConstraintDocument]:
    """Return what the job asks of a node's labels, and what its kind of program asks."""
    meant = revision.with_overrides(job.overrides or {})
    return [
        *(job.constraints or []),
        *cast("list[ConstraintDocument]", runners.constraints(meant.runner, meant.options)),
    ]


def awaits(rt: Runtime, job: NewJob) -> list[NewUpload]:
    """Return what is stored of the inputs that jobs like this one await."""
    most, expires = rt.settings.max_upload, rt.now() + timedelta(seconds=rt.settings.upload_wait_s)
    return [
        NewUpload(one, min(one.max_size or most, most), expires, job.mem is None, job.disk_out is None)
        for one in job.awaits or ()
    ]


def overrides(job: NewJob) -> Document:
    """Return what the job says over its type, as it is stored with it."""
    command: Document = {} if job.command is None else {"command": cast("JsonValue", job.command)}
    return command | (job.overrides or {})


def _first(own: int | None, default: int) -> int:
    return default if own is None else own
