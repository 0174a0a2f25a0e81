"""The jobs of data sets: how an update and a query are asked for, and how they are doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Connection

from scheduler.data_sets import preparing
from scheduler.documents import Document
from scheduler.errors import Conflict, FaultList, InvalidInput, NotFound, Purged
from scheduler.identifiers import DataSetId, JobId
from scheduler.identity import Caller
from scheduler.jobs import submit
from scheduler.jobs.admission import AdmissionCheck
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.submit import EnteredJobs, Submission
from scheduler.rules.data_sets import columns as column_rules
from scheduler.rules.data_sets import grid as grids
from scheduler.rules.data_sets.documents import (
    ColumnDocument,
    GridDocument,
    QueryDocument,
    RangeDocument,
    UpdateDocument,
)
from scheduler.rules.data_sets.groups import SEPARATOR
from scheduler.rules.data_sets.words import TYPES, VERSION, DataSetWork
from scheduler.rules.job_type.awaited import AwaitedInput
from scheduler.runtime import Runtime
from scheduler.store.data_sets import jobs as data_set_jobs
from scheduler.store.data_sets import sets, versions
from scheduler.store.data_sets.jobs import DataSetJob, DataSetJobState
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow
from scheduler.store.uploads import uploads

MOST_REQUEST: Final = 100_000
"""Bytes of what a program is asked: Linux takes 128 KiB in one variable."""

_MIB: Final = 1 << 20
_SPARE_MIB: Final = 128
_TEXT_BYTES: Final = 40
"""Bytes of a text that room is asked for; longer ones need a job with more."""

_WIDTHS: Final = {"Boolean": 1, "Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Float16": 2} | dict.fromkeys(
    ("Int32", "UInt32", "Float32", "Date32"), 4
)


@dataclass(frozen=True, slots=True)
class StartedWork:
    """A job that was asked for: its ids, the version that it makes or reads, and whether it awaits a file."""

    job_id: JobId
    job_uuid: UUID
    version_uuid: UUID
    needs_file: bool = False


@dataclass(frozen=True, slots=True)
class QueryCriteria:
    """What is asked of a version: columns by title or id, a bounding box, and how the file is written."""

    columns: list[str]
    version_uuid: UUID | None = None
    bbox: dict[str, RangeDocument] | None = None
    geometry: str = "indices"
    format: str = "csv"
    delimiter: str = ","
    by_id: bool = False
    separator: str = SEPARATOR
    exclude_null_rows: bool = True


def update(
    rt: Runtime, caller: Caller, owner: DataSetRow, asked: UpdateDocument, admission: AdmissionCheck
) -> StartedWork:
    """Make the job of an update. It awaits its file, or if it needs none the word that it may begin. One transaction.

    Raises InvalidInput for changes that the newest version does not allow. While other jobs that change the set have not
    ended, nobody knows what it will build on: then it is looked at when it runs.
    """
    with rt.db.begin() as tx:
        owner = locked(tx, owner.id)
        newest = versions.numbered(tx, owner.id, owner.latest)
        is_settled = newest is not None and not data_set_jobs.is_any_open(tx, owner.id)
        faults = FaultList()
        planned = column_rules.plan(
            [] if newest is None else newest.columns, asked["changes"], faults, [] if newest is None else newest.groups
        )
        if is_settled:
            faults.raise_all()
            _check_size(preparing.update_request(tx, owner, asked)[0])
        needs_file = bool(asked["changes"]["new"] or asked["changes"]["update"])
        room = room_of(cast("GridDocument", owner.definition["grid"]), planned.columns, planned.titles.keys())
        request = cast("Document", asked)
        _check_size(request)
        started, entered = enter(
            tx, rt, caller, admission, owner, DataSetWork.UPDATE, uuid4(), request, room_mib=room, needs_file=needs_file
        )
    submit.announce(rt, entered, admission)
    return started


def query(
    rt: Runtime, caller: Caller, owner: DataSetRow, asked: QueryCriteria, admission: AdmissionCheck
) -> tuple[StartedWork, VersionRow, QueryDocument]:
    """Make the job of a query of one version, the newest if none is named; return it with the version and what it reads.

    Raises NotFound for an unknown version, InvalidInput for unknown columns or an impossible box, Conflict where there is no
    version yet.
    """
    grid = cast("GridDocument", owner.definition["grid"])
    with rt.db.begin() as tx:
        version = version_of(tx, owner, asked.version_uuid)
        faults = FaultList()
        hidden = {one["group_uuid"] for one in version.groups if one.get("hidden")}
        columns = column_rules.selected(version.columns, asked.columns, faults, hidden)
        _check_box(grid, asked.bbox, faults)
        faults.raise_all()
        document: QueryDocument = {
            "columns": columns,
            "names": [
                column["col_id"] if asked.by_id else column["title"].replace(SEPARATOR, asked.separator)
                for column in columns
            ],
            "bbox": asked.bbox,
            "geometry": asked.geometry,
            "format": asked.format,
            "delimiter": asked.delimiter,
            "exclude_null_rows": asked.exclude_null_rows,
            "file_name": f"blocks.{asked.format}",
        }
        _check_size(preparing.query_request(grid, document)[0])
        room = room_of(grid, columns, [column["col_id"] for column in columns]) * 3
        started, entered = enter(
            tx, rt, caller, admission, owner, DataSetWork.QUERY, version.uuid, cast("Document", document), room_mib=room
        )
    submit.announce(rt, entered, admission)
    return started, version, document


def enter(
    tx: Connection,
    rt: Runtime,
    caller: Caller,
    admission: AdmissionCheck,
    owner: DataSetRow,
    work: DataSetWork,
    version_uuid: UUID,
    request: Document,
    *,
    room_mib: int = 0,
    needs_file: bool = False,
) -> tuple[StartedWork, EnteredJobs]:
    """Write the rows of a job of a data set; `submit.announce` follows the commit."""
    new = _new_job(owner, work, room_mib, needs_file=needs_file)
    project = submit.project_of(tx, owner.project)
    entered = submit.enter(tx, rt, caller, project, Submission([new]), admission)
    job_id = entered.job_ids[0]
    uuid = data_set_jobs.insert(tx, job_id, owner.id, work, version_uuid, request, caller.token_id, caller.name)
    return StartedWork(job_id, uuid, version_uuid, needs_file), entered


def create(
    tx: Connection,
    rt: Runtime,
    caller: Caller,
    owner: DataSetRow,
    work: DataSetWork,
    version_uuid: UUID,
    request: Document,
    room_mib: int = 0,
) -> StartedWork:
    """Write the rows of a job that needs no file within a transaction that somebody else has begun. Raises as `submit.create` does."""
    job_id = submit.create(tx, rt, caller, Submission([_new_job(owner, work, room_mib)]))[0]
    uuid = data_set_jobs.insert(tx, job_id, owner.id, work, version_uuid, request, caller.token_id, caller.name)
    return StartedWork(job_id, uuid, version_uuid)


def _new_job(owner: DataSetRow, work: DataSetWork, room_mib: int = 0, *, needs_file: bool = False) -> NewJob:
    return NewJob(
        project=owner.project,
        type_name=TYPES[work],
        type_version=VERSION,
        name=f"{work} {owner.name}",
        disk_out=(_SPARE_MIB + room_mib) * 1_000,
        serial=None if work.only_reads else int(owner.id),
        # An update that needs no file awaits the word that it may begin, like those that do.
        awaits=[AwaitedInput(preparing.DATA, "data", optional=not needs_file)] if work is DataSetWork.UPDATE else None,
    )


def find(rt: Runtime, owner: DataSetRow, job_uuid: UUID) -> tuple[DataSetJob, DataSetJobState, VersionRow | None]:
    """Return a job of a data set, how it is doing, and the version that it makes or reads, if there is one.

    Raises NotFound, also for a job that has aged out.
    """
    with rt.db.begin() as tx:
        job = data_set_jobs.by_uuid(tx, owner.id, job_uuid)
        state = None if job is None else data_set_jobs.state(tx, job.job_id)
        if job is None or state is None:
            raise NotFound(f"there is no job {job_uuid} of this data set")
        return job, state, versions.by_uuid(tx, owner.id, job.version_uuid)


def awaited(rt: Runtime, job_id: JobId) -> UUID | None:
    """Return the upload that a job awaits; None for one that waits for none."""
    with rt.db.begin() as tx:
        rows = [row for row in uploads.of_jobs(tx, [job_id]) if row.is_open]
    return rows[0].uuid if rows else None


def page_of_versions(rt: Runtime, owner: DataSetRow, offset: int, limit: int) -> tuple[list[VersionRow], int]:
    """Return part of a data set's versions, the newest first, and how many there are."""
    with rt.db.begin() as tx:
        return versions.page(tx, owner.id, offset, limit)


def numbered(rt: Runtime, owner: DataSetRow, number: int) -> VersionRow:
    """Return a version by its number. Raises NotFound."""
    with rt.db.begin() as tx:
        found = versions.numbered(tx, owner.id, number)
    if found is None:
        raise NotFound(f"there is no version {number} of this data set")
    return found


def version(rt: Runtime, owner: DataSetRow, uuid: UUID | None) -> VersionRow:
    """Return a version, the newest without a UUID. Raises NotFound, Conflict where there is none yet."""
    with rt.db.begin() as tx:
        return version_of(tx, owner, uuid)


def made_by(rt: Runtime, row: VersionRow) -> tuple[bool | None, int | None]:
    """Return whether an update merged the rows of its file, and how many it had; None of what is known no more: its job has aged out."""
    with rt.db.begin() as tx:
        return data_set_jobs.made_by(tx, row.job_id)


def locked(tx: Connection, data_set_id: DataSetId) -> DataSetRow:
    """Lock a data set that was there a moment ago and return it. Raises Purged where retention has taken it meanwhile."""
    row = sets.lock(tx, data_set_id)
    if row is None:
        raise Purged("the data set was deleted long ago, and is kept no longer")
    return row


def version_of(tx: Connection, owner: DataSetRow, uuid: UUID | None) -> VersionRow:
    """Return a version as `version` does, within a transaction."""
    if uuid is None:
        return newest(tx, owner)
    found = versions.by_uuid(tx, owner.id, uuid)
    if found is None:
        raise NotFound(f"there is no version {uuid} of this data set")
    return found


def newest(tx: Connection, owner: DataSetRow) -> VersionRow:
    """Return the newest version. Raises Conflict where there is none yet."""
    found = versions.numbered(tx, owner.id, owner.latest)
    if found is None:
        raise Conflict("the data set has no version yet: the job that creates it has not ended")
    return found


def _check_box(grid: GridDocument, bbox: dict[str, RangeDocument] | None, faults: FaultList) -> None:
    for name, bounds in (bbox or {}).items():
        if bounds["min"] > bounds["max"]:
            faults.note("its min is above its max", field=f"bbox.{name}")
        elif name[0] in "ijk":
            most = grid["blocks"]["ijk".index(name[0])] - 1
            if bounds["min"] < 0 or bounds["max"] > most:
                faults.note(f"the indices of the grid go from 0 to {most}", field=f"bbox.{name}")


def _check_size(request: Document) -> None:
    if len(orjson.dumps(request)) > MOST_REQUEST:
        raise InvalidInput(
            f"this asks for more than {MOST_REQUEST} bytes can say; take fewer columns at once", field="columns"
        )


def room_of(grid: GridDocument, columns: Sequence[ColumnDocument], ids: object) -> int:
    """Return how much disk the files of these columns need, in MiB."""
    wanted = set(cast("list[str]", ids))
    widths = (
        _TEXT_BYTES if column["data_type"] == "Utf8" else _WIDTHS.get(column["data_type"], 8)
        for column in columns
        if column["col_id"] in wanted
    )
    return -(-grids.count_of(grid) * (1 + sum(width + 1 for width in widths)) // _MIB)
