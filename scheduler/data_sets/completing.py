"""What becomes of a data set when a job of its has ended: its result is checked, and only a sound one makes a version.

All of it happens in the transaction that accepts the node's report: a version is there if and only if its job is COMPLETED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

from sqlalchemy import Connection

from scheduler.data_sets import reporting
from scheduler.documents import Document, JsonValue
from scheduler.errors import FaultList
from scheduler.identifiers import ExecutionId, JobId
from scheduler.rules.data_sets import columns as column_rules
from scheduler.rules.data_sets import reports as report_rules
from scheduler.rules.data_sets.documents import RangeDocument, UpdateDocument
from scheduler.rules.data_sets.words import DataSetWork
from scheduler.rules.lifecycle import failures
from scheduler.runtime import Runtime
from scheduler.store.data_sets import jobs as data_set_jobs
from scheduler.store.data_sets import reports, sets, versions
from scheduler.store.data_sets.jobs import DataSetJob
from scheduler.store.data_sets.reports import NewResult
from scheduler.store.data_sets.sets import DataSetRow, VersionAuthor
from scheduler.store.data_sets.versions import NewVersion

_SUFFIX = ".column"
_AXES = ("i_minmax", "j_minmax", "k_minmax")


@dataclass(frozen=True, slots=True)
class RefusedResult:
    """Why a try that ended well has failed all the same: the name of the error, and the sentence."""

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckedResults:
    """What the results of some executions are worth: why some are refused, and the versions and reports that the others make."""

    refused: Mapping[ExecutionId, RefusedResult]
    versions: Mapping[JobId, NewVersion]
    reports: Mapping[JobId, NewResult]


NOTHING: Final = CheckedResults({}, {}, {})


class _Unsound(Exception):
    """A result is not what its type declares; str() says why."""


def check(tx: Connection, ended: Mapping[ExecutionId, tuple[JobId, Document]]) -> CheckedResults:
    """Look at the properties that programs of data sets' jobs have reported, by execution; others are passed over.

    What was wrong with uploaded data is written beside the job. The data sets stay locked until the transaction ends.
    """
    known = data_set_jobs.by_id(tx, [job_id for job_id, _ in ended.values()])
    refused: dict[ExecutionId, RefusedResult] = {}
    made: dict[JobId, NewVersion] = {}
    told: dict[JobId, NewResult] = {}
    for execution_id, (job_id, properties) in sorted(ended.items(), key=lambda pair: _set_of(known, pair[1][0])):
        job = known.get(job_id)
        if job is None:
            continue
        problem = properties.get("problem")
        if isinstance(problem, dict):
            refused[execution_id] = _told(tx, job, problem)
            continue
        try:
            if job.work == DataSetWork.REPORT:
                told[job_id] = _report(job, properties.get("result"))
                continue
            version = _version(tx, execution_id, job, properties.get("result"))
        except _Unsound as wrong:
            refused[execution_id] = RefusedResult(failures.UNSOUND_RESULT, str(wrong))
        else:
            if version is not None:
                made[job_id] = version
    return CheckedResults(refused, made, told)


def record(tx: Connection, rt: Runtime, checked: CheckedResults, completed: Sequence[JobId]) -> None:
    """Make the versions of the jobs that are COMPLETED now, with the jobs of reports that follow them, and the results of reports."""
    for job_id in completed:
        if job_id in checked.reports:
            reports.tell(tx, checked.reports[job_id])
        version = checked.versions.get(job_id)
        if version is not None:
            author = VersionAuthor(version.created_by, version.created_by_name)
            is_next = sets.advance(tx, version.data_set_id, version.number, author)
            assert is_next, "the data set is locked since it was looked at"  # noqa: S101 - see `check`
            versions.insert(tx, version)
            _followed(tx, rt, version)


def _followed(tx: Connection, rt: Runtime, version: NewVersion) -> None:
    owner, made = sets.by_id(tx, version.data_set_id), versions.numbered(tx, version.data_set_id, version.number)
    if owner is not None and made is not None and owner.deleted is None:
        reporting.run_all(tx, rt, owner, made)


def _report(job: DataSetJob, result: JsonValue) -> NewResult:
    if not isinstance(result, dict) or not report_rules.is_sound(result):
        raise _Unsound("the program reported no figures")
    asked = job.request
    return NewResult(
        uuid=UUID(str(asked["result_uuid"])),
        specification_id=int(str(asked["specification_id"])),
        specification=cast("Document", asked["specification"]),
        version=int(str(asked["version"])),
        told=result,
    )


def _set_of(known: Mapping[JobId, DataSetJob], job_id: JobId) -> int:
    """Return the data set of a job, 0 for none: sets are locked in this order, whoever locks them."""
    return known[job_id].data_set_id if job_id in known else 0


def _told(tx: Connection, job: DataSetJob, problem: Mapping[str, JsonValue]) -> RefusedResult:
    title, detail = (str(problem.get(name, ""))[:most] for name, most in (("title", 200), ("detail", 2000)))
    data_set_jobs.note_problem(tx, job.job_id, {"title": title, "detail": detail})
    return RefusedResult(failures.REFUSED_DATA, f"{title}: {detail}")


def _version(tx: Connection, execution_id: ExecutionId, job: DataSetJob, result: JsonValue) -> NewVersion | None:
    """Return the version that a result makes, None for a query. Raises _Unsound."""
    if not isinstance(result, dict):
        raise _Unsound("the program reported no result")
    files = data_set_jobs.files(tx, execution_id)
    if job.work == DataSetWork.QUERY:
        if sum(1 for file in files if file.output == "result") != 1 or not _is_count(result.get("rows")):
            raise _Unsound("the program of a query writes one file and reports how many rows it has")
        return None
    owner = sets.lock(tx, job.data_set_id)
    if owner is None:
        raise _Unsound("the data set is kept no longer")
    if job.work == DataSetWork.CREATE:
        return _first(owner, job, result)
    columns = {file.file_name.removesuffix(_SUFFIX): file.id for file in files if file.output == "new_columns"}
    return _next(tx, owner, job, result, columns)


def _first(owner: DataSetRow, job: DataSetJob, result: Mapping[str, JsonValue]) -> NewVersion:
    if owner.latest or not _is_count(result.get("blocks")):
        raise _Unsound("the data set is there already" if owner.latest else "the program did not count the blocks")
    comment = str(job.request.get("comment") or "")
    return _new(job, 1, None, comment)


def _next(
    tx: Connection, owner: DataSetRow, job: DataSetJob, result: Mapping[str, JsonValue], files: Mapping[str, int]
) -> NewVersion:
    if result.get("base") != owner.latest:
        raise _Unsound(f"it builds on version {result.get('base')}, and the newest is version {owner.latest}")
    newest = versions.numbered(tx, owner.id, owner.latest)
    asked = cast("UpdateDocument", job.request)
    faults = FaultList()
    planned = column_rules.plan(
        [] if newest is None else newest.columns, asked["changes"], faults, [] if newest is None else newest.groups
    )
    columns = column_rules.with_files(planned, files)
    if columns is None or faults:
        raise _Unsound("the program did not write every column that it was asked for")
    bounds = result.get("bbox")
    if bounds is not None and not _are_bounds(bounds):
        raise _Unsound("the bounds of the changed blocks are not three ranges of indices")
    version = _new(job, owner.latest + 1, owner.latest, asked["comment"])
    return version._replace(
        columns=columns, groups=planned.groups, bounds=cast("dict[str, RangeDocument] | None", bounds)
    )


def _new(job: DataSetJob, number: int, base: int | None, comment: str) -> NewVersion:
    return NewVersion(
        uuid=job.version_uuid,
        data_set_id=job.data_set_id,
        number=number,
        base=base,
        job_id=job.job_id,
        comment=comment,
        columns=[],
        groups=[],
        bounds=None,
        created_by=job.created_by,
        created_by_name=job.created_by_name,
    )


def _is_count(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_bounds(value: JsonValue) -> bool:
    if not isinstance(value, dict) or set(value) != set(_AXES):
        return False
    ranges = list(value.values())
    return all(
        isinstance(one, dict) and set(one) == {"min", "max"} and all(_is_count(end) for end in one.values())
        for one in ranges
    )
