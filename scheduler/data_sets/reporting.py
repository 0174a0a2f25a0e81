"""Reports on block models: what they tell is specified once, and each run of them is a job that reads one version.

A run is asked for, or happens by itself: a version is made, and in the same transaction the jobs of all specifications that want it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import Connection

from scheduler.data_sets import working
from scheduler.data_sets.working import StartedWork
from scheduler.documents import Document, JsonValue
from scheduler.errors import Conflict, FaultList, GangerError, NotFound
from scheduler.identifiers import JobId
from scheduler.identity import Caller, Role
from scheduler.jobs import submit
from scheduler.jobs.admission import AdmissionCheck
from scheduler.log import log
from scheduler.rules.data_sets import reports as rules
from scheduler.rules.data_sets.documents import ColumnDocument, GridDocument
from scheduler.rules.data_sets.reports import ReportDocument
from scheduler.rules.data_sets.words import DataSetWork
from scheduler.runtime import Runtime
from scheduler.store.data_sets import reports
from scheduler.store.data_sets.reports import ResultRow, SpecificationRow
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow

MOST = 50
"""Specifications of one data set: the jobs of all that run by themselves are made in the transaction that makes a version."""

NOT_STARTED = "a report that runs by itself could not be started"


@dataclass(frozen=True, slots=True)
class ReportWords:
    """A specification as somebody gives it."""

    name: str
    description: str | None
    asked: ReportDocument
    autorun: bool = True


@dataclass(frozen=True, slots=True)
class StartedReport:
    """A run that was asked for: its job, the version that it reads, and the result that it will make."""

    job: StartedWork
    version: VersionRow
    result_uuid: UUID


def specify(rt: Runtime, caller: Caller, owner: DataSetRow, words: ReportWords) -> SpecificationRow:
    """Keep a new specification.

    Raises InvalidInput for one that the newest version does not allow, Conflict before there is one, and for one more than `MOST`.
    """
    with rt.db.begin() as tx:
        working.locked(tx, owner.id)
        if reports.count(tx, owner.id) >= MOST:
            raise Conflict(f"a data set has at most {MOST} reports; change one of them instead")
        _check(words.asked, working.newest(tx, owner).columns)
        made = reports.insert(
            tx,
            owner.id,
            words.name,
            words.description,
            words.asked,
            autorun=words.autorun,
            by=caller.token_id,
            by_name=caller.name,
        )
        return _one(tx, owner, made)


def change(rt: Runtime, owner: DataSetRow, uuid: UUID, words: ReportWords) -> SpecificationRow:
    """Change a specification; its results stay as they are. Raises NotFound, and as `specify` does."""
    with rt.db.begin() as tx:
        working.locked(tx, owner.id)
        row = _one(tx, owner, uuid)
        if words.asked != row.asked:
            _check(words.asked, working.newest(tx, owner).columns)
        reports.update(tx, row, words.name, words.description, words.asked, autorun=words.autorun)
        return _one(tx, owner, uuid)


def get(rt: Runtime, owner: DataSetRow, uuid: UUID) -> SpecificationRow:
    """Return a specification of a data set. Raises NotFound."""
    with rt.db.begin() as tx:
        return _one(tx, owner, uuid)


def page(rt: Runtime, owner: DataSetRow, offset: int, limit: int) -> tuple[list[SpecificationRow], int]:
    """Return part of a data set's specifications, the newest first, and how many there are."""
    with rt.db.begin() as tx:
        return reports.page(tx, owner.id, offset, limit)


def run(
    rt: Runtime, caller: Caller, owner: DataSetRow, uuid: UUID, version: UUID | None, admission: AdmissionCheck
) -> StartedReport:
    """Make the job that runs a report on a version, the newest without one; safe to repeat, each makes a result.

    Raises NotFound for an unknown version, InvalidInput where it has not the columns of the report.
    """
    with rt.db.begin() as tx:
        row, read = _one(tx, owner, uuid), working.version_of(tx, owner, version)
        result_uuid = uuid4()
        request = _request(owner, row, read, working.newest(tx, owner), result_uuid)
        started, entered = working.enter(
            tx, rt, caller, admission, owner, DataSetWork.REPORT, read.uuid, request, room_mib=_room(owner, read)
        )
    submit.announce(rt, entered, admission)
    return StartedReport(started, read, result_uuid)


def run_all(tx: Connection, rt: Runtime, owner: DataSetRow, made: VersionRow) -> None:
    """Make the jobs of all reports that run by themselves on a version that is new, each in the name of who specified it.

    One that the version does not allow, or that the project has no room for, is left out and logged: the version stands.
    """
    for row in reports.running_alone(tx, owner.id):
        caller = Caller(row.created_by, row.created_by_name, Role.SUBMITTER, owner.project_id, owner.project)
        try:
            request = _request(owner, row, made, made, uuid4())
            with tx.begin_nested():
                working.create(tx, rt, caller, owner, DataSetWork.REPORT, made.uuid, request, _room(owner, made))
        except GangerError as error:
            log.warning(NOT_STARTED, report=str(row.uuid), reason=str(error))


def results(rt: Runtime, row: SpecificationRow, offset: int, limit: int) -> tuple[list[ResultRow], int]:
    """Return part of a specification's results, the newest first, and how many there are."""
    with rt.db.begin() as tx:
        return reports.page_of_results(tx, row.id, offset, limit)


def result(rt: Runtime, row: SpecificationRow, uuid: UUID) -> ResultRow | JobId:
    """Return a result, or the job that is to make it. Raises NotFound."""
    with rt.db.begin() as tx:
        found = reports.told(tx, row.id, uuid) or reports.job_of(tx, row.data_set_id, uuid)
    if found is None:
        raise NotFound(f"there is no result {uuid} of this report")
    return found


def result_of(
    rt: Runtime, owner: DataSetRow, row: SpecificationRow, version: UUID | None
) -> tuple[VersionRow, UUID | None]:
    """Return a version, the newest without a UUID, and the newest result of it that the report has as it is now. Raises NotFound."""
    with rt.db.begin() as tx:
        read = working.version_of(tx, owner, version)
        return read, reports.told_of(tx, row, read.number)


def _room(owner: DataSetRow, read: VersionRow) -> int:
    ids = [column["col_id"] for column in read.columns]
    return working.room_of(cast("GridDocument", owner.definition["grid"]), read.columns, ids)


def _one(tx: Connection, owner: DataSetRow, uuid: UUID) -> SpecificationRow:
    row = reports.one(tx, owner.id, uuid)
    if row is None:
        raise NotFound(f"there is no report {uuid} of this data set")
    return row


def _check(asked: ReportDocument, columns: list[ColumnDocument]) -> None:
    faults = FaultList()
    rules.check(asked, columns, faults)
    faults.raise_all()


def _request(
    owner: DataSetRow, row: SpecificationRow, read: VersionRow, newest: VersionRow, result_uuid: UUID
) -> Document:
    """Return what is kept with the job: what its program is asked, and what its result will be made of. Raises InvalidInput."""
    columns = rules.with_units(read.columns, newest.columns)
    _check(row.asked, columns)
    length = owner.about.get("size_unit_id")
    program, wanted = rules.request(
        row.asked, columns, cast("GridDocument", owner.definition["grid"]), length if isinstance(length, str) else None
    )
    by_id = {column["col_id"]: column for column in columns}
    specification: Document = {
        "name": row.name,
        "description": row.description,
        "revision": row.revision,
        "asked": cast("JsonValue", row.asked),
        "units": [rules.shown_unit(one, by_id) for one in row.asked["columns"]],
        "columns": cast("JsonValue", wanted),
    }
    return {
        "program": program,
        "files": [column["file_id"] for column in wanted if "file_id" in column],
        "result_uuid": str(result_uuid),
        "specification_id": row.id,
        "specification_uuid": str(row.uuid),
        "specification": specification,
        "version": read.number,
    }
