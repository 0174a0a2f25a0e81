"""What a node gets when it starts a job of a data set: the columns of the version that is the newest now, and the request.

An update is asked for long before it runs, so what it builds on is decided when a node claims it. Nothing can change the
set from then on until that execution is over: such jobs run one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from sqlalchemy import Connection

from scheduler.documents import DataEntry, Document, JobDataDocument, JsonValue
from scheduler.errors import FaultList
from scheduler.rules.data_sets import columns as column_rules
from scheduler.rules.data_sets.documents import GridDocument, QueryDocument, UpdateDocument
from scheduler.rules.data_sets.groups import SEPARATOR
from scheduler.rules.data_sets.words import TYPES, DataSetWork
from scheduler.store.data_sets import jobs as data_set_jobs
from scheduler.store.data_sets import sets, versions
from scheduler.store.data_sets.jobs import DataSetJob
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.executions.task_specs import TaskSpecRow

TYPE_NAMES = frozenset(TYPES.values())
"""The names of the built-in types that work on data sets."""

REQUEST, COLUMNS, DATA = "request", "columns", "data"
"""The inputs of the built-in types: what is asked, the files of columns, and the file that somebody uploaded."""


def prepared(tx: Connection, rows: Sequence[TaskSpecRow]) -> list[TaskSpecRow]:
    """Return the rows with the inputs of those that work on data sets filled in; costs nothing where there are none."""
    if not any(row.type_name in TYPE_NAMES for row in rows):
        return [*rows]
    known = data_set_jobs.by_id(tx, [row.job_id for row in rows if row.type_name in TYPE_NAMES])
    return [row if row.job_id not in known else _filled(tx, row, known[row.job_id]) for row in rows]


def _filled(tx: Connection, row: TaskSpecRow, job: DataSetJob) -> TaskSpecRow:
    owner = sets.by_id(tx, job.data_set_id)
    assert owner is not None  # noqa: S101 - a foreign key
    request, files = _asked(tx, job, owner)
    own: list[DataEntry] = [
        {"name": REQUEST, "value": cast("JsonValue", request)},
        {"name": COLUMNS, "file_ids": files},
    ]
    given = [entry for entry in row.data.get("input_data", ()) if entry["name"] not in {REQUEST, COLUMNS}]
    data: JobDataDocument = {**row.data, "input_data": [*given, *own]}
    return row._replace(data=data)


def _asked(tx: Connection, job: DataSetJob, owner: DataSetRow) -> tuple[Document, list[int]]:
    match DataSetWork(job.work):
        case DataSetWork.CREATE:
            return {"do": "create", "grid": owner.definition["grid"]}, []
        case DataSetWork.UPDATE:
            return update_request(tx, owner, cast("UpdateDocument", job.request))
        case DataSetWork.QUERY:
            version = versions.by_uuid(tx, owner.id, job.version_uuid)
            assert version is not None  # noqa: S101 - versions are never deleted
            return query_request(cast("GridDocument", owner.definition["grid"]), cast("QueryDocument", job.request))
        case DataSetWork.REPORT:
            return cast("Document", job.request["program"]), cast("list[int]", job.request["files"])


def update_request(tx: Connection, owner: DataSetRow, asked: UpdateDocument) -> tuple[Document, list[int]]:
    """Return what the program is asked to do with the newest version, and the files that it needs for it."""
    newest = versions.numbered(tx, owner.id, owner.latest)
    if newest is None:
        return _problem(
            "Nothing to update", "the data set has no version: the job that was to create it has failed"
        ), []
    faults = FaultList()
    planned = column_rules.plan(newest.columns, asked["changes"], faults, newest.groups)
    if faults:
        return _problem("Columns do not fit", f"version {newest.number}: {faults.together()}"), []
    kinds = {column["col_id"]: column["data_type"] for column in planned.columns}
    wanted: list[JsonValue] = [
        {"id": one, "kind": kinds[one], "titles": [*titles], "base": planned.bases[one] is not None}
        for one, titles in planned.titles.items()
    ]
    touched = {title for titles in planned.titles.values() for title in titles}
    known = {column["title"] for column in (*newest.columns, *planned.columns)} - touched
    document: Document = {
        "do": "update",
        "base": newest.number,
        "grid": owner.definition["grid"],
        "merge": asked["merge"],
        "columns": wanted,
        "known": cast("JsonValue", sorted(known)),
        "input": _with_separator(asked["input"], [*touched, *known]),
    }
    files = [base for base in planned.bases.values() if base is not None] if asked["merge"] else []
    return document, files


def _with_separator(given: Document, titles: Iterable[str]) -> Document:
    """Return how the file is written, where its columns are called by paths with another separator."""
    own = given.get("separator")
    if not isinstance(own, str):
        return given
    renamed = cast("dict[str, JsonValue]", given.get("renamed") or {})
    paths = {title.replace(SEPARATOR, own): cast("JsonValue", title) for title in titles if SEPARATOR in title}
    return {**given, "renamed": {**paths, **renamed}}


def query_request(grid: GridDocument, asked: QueryDocument) -> tuple[Document, list[int]]:
    """Return what the program is asked to write, and the files of the columns that it reads."""
    pairs = zip(asked["columns"], asked["names"], strict=True)
    columns: list[JsonValue] = [
        {"id": column["col_id"], "kind": column["data_type"], "name": name} for column, name in pairs
    ]
    document: Document = {
        "do": "query",
        "grid": cast("JsonValue", grid),
        "columns": columns,
        "bbox": cast("JsonValue", asked["bbox"]),
        "geometry": asked["geometry"],
        "file_format": asked["format"],
        "delimiter": asked["delimiter"],
        "exclude_null_rows": asked["exclude_null_rows"],
        "file_name": asked["file_name"],
    }
    return document, [column["file_id"] for column in asked["columns"] if "file_id" in column]


def _problem(title: str, detail: str) -> Document:
    return {"do": "refuse", "title": title, "detail": detail}
