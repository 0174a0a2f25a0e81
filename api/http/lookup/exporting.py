"""Lists of jobs as files: lines of comma-separated values for spreadsheets, or a JSON document a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import orjson

from api.http.answers import dump
from api.http.jobs import view
from api.http.schema.fields import units
from scheduler.store.jobs.listing import JobRow

_COMMANDS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The beginnings of texts that spreadsheets take for formulas, in the wide forms of East Asian keyboards too."""

COLUMNS: Mapping[str, Callable[[JobRow], object]] = {
    "id": lambda row: row.id,
    "name": lambda row: row.name,
    "status": lambda row: row.status,
    "job_type": lambda row: view.job_type(row)["name"],
    "version": lambda row: view.job_type(row)["version"],
    "project": lambda row: row.project,
    "priority": lambda row: row.priority,
    "pool": lambda row: row.pool,
    "node": lambda row: row.node_name,
    "tries": lambda row: row.num_exes,
    "max_tries": lambda row: row.max_tries,
    "created": lambda row: row.created,
    "queued": lambda row: row.queued,
    "started": lambda row: row.started,
    "ended": lambda row: row.ended,
    "waited_s": lambda row: _seconds(row.queued, row.started),
    "ran_s": lambda row: _seconds(row.started, row.ended),
    "cpus": lambda row: units(row.cpus),
    "mem_mib": lambda row: units(row.mem),
    "disk_mib": lambda row: units(row.disk_in + row.disk_out),
    "is_held": lambda row: row.is_held,
    "hold_reason": lambda row: row.hold_reason,
    "percent": lambda row: row.percent,
    "error": lambda row: row.error_name,
    "message": lambda row: row.message,
    "labels": lambda row: orjson.dumps(row.labels, option=orjson.OPT_SORT_KEYS).decode() if row.labels else None,
    "command": lambda row: row.command_line,
}
"""The columns of comma-separated values: times in UTC, amounts in cpus and MiB."""


def csv_lines(pages: Iterator[Sequence[JobRow]]) -> Iterator[bytes]:
    """Yield the file piece by piece: a line of headings, then a line a job, in UTF-8 with the mark that spreadsheets look for."""
    yield b"\xef\xbb\xbf" + _lines([list(COLUMNS)])
    for rows in pages:
        yield _lines([[_cell(column(row)) for column in COLUMNS.values()] for row in rows])


def json_lines(pages: Iterator[Sequence[JobRow]]) -> Iterator[bytes]:
    """Yield the file piece by piece: a line a job, as lists of the API show it."""
    for rows in pages:
        yield b"".join(dump(view.entry(row)) + b"\n" for row in rows)


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    """Return what stands in a cell. A text that a spreadsheet would carry out gets an apostrophe before it, which makes it text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and (value.startswith(_COMMANDS) or value.lstrip().startswith(_COMMANDS)):
        return f"'{value}"
    return value


def _seconds(began: datetime | None, ended: datetime | None) -> float | None:
    return None if began is None or ended is None else round((ended - began).total_seconds(), 3)
