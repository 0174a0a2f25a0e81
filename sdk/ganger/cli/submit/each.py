"""`ganger submit --each 'data/*.csv'`: one job for each file, by an input of a job type or by the path in a command."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ganger.cli.data import job_types
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, JobRequest, JobType

PLACE = "{}"
"""Stands in a command where the path of the job's file belongs, as with `xargs` and `find`."""

FILES_MAX = 10_000
"""As many jobs as one submission may have."""


def requests(api: Client, request: JobRequest, patterns: Sequence[str]) -> list[JobRequest]:
    """Return a request for each file that matches; a job type's files are sent here, equal ones once. Raises UsageError."""
    if request.command is not None:
        return [_with_path(request, path) for path in _files(patterns)]
    assert request.job_type is not None  # noqa: S101 - a request has a command or a type
    job_type = api.job_types.get(request.job_type, request.version or "")
    name, patterns = _named(job_type, patterns)
    taken = _input(job_type, name, request)
    paths = _files(patterns)
    sent = api.files.upload_many(paths, project=request.project, changed=_progress(len(paths)))
    return [
        replace(
            request,
            name=request.name or path.name,
            inputs={**(request.inputs or {}), taken: _value(job_type, taken, file.id)},
        )
        for path, file in zip(paths, sent, strict=True)
    ]


def _with_path(request: JobRequest, path: Path) -> JobRequest:
    """Return the request for one file: it stays where it is, so its node must see it at the same path."""
    words = list(request.command or ())
    if not any(PLACE in word for word in words):
        raise UsageError(
            f"--each: say with {PLACE} where in the command the path of the file belongs: -- wc -l {PLACE}"
        )
    command = [word.replace(PLACE, str(path.absolute())) for word in words]
    return replace(request, command=command, name=request.name or path.name)


def _named(job_type: JobType, patterns: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Return the input that `NAME=PATTERN` names, if it does, and the patterns. Raises UsageError for several inputs."""
    split = [pattern.partition("=") for pattern in patterns]
    names = {name if equals and job_type.input_type(name) else None for name, equals, _ in split}
    if len(names) > 1:
        raise UsageError("--each: all files go to one input")
    name = names.pop()
    return name, patterns if name is None else [pattern for _, _, pattern in split]


def _input(job_type: JobType, name: str | None, request: JobRequest) -> str:
    """Return the input that the files are for: the one that is named, else the only one that is not given. Raises UsageError."""
    entries = (job_type.interface or {}).get("input_data") or []
    of_files = [entry["name"] for entry in entries if entry.get("type") in {"file", "files"}]
    free = [one for one in of_files if one not in (request.inputs or {})]
    if name is not None:
        free = [one for one in free if one == name]
    if len(free) != 1:
        known = ", ".join(of_files) or "none"
        raise UsageError(
            f"--each: for which input? Write --each NAME='*.csv' (files that {job_types.title(job_type)} takes: {known})"
        )
    return str(free[0])


def _value(job_type: JobType, name: str, file_id: int) -> object:
    return [file_id] if job_type.input_type(name) == "files" else file_id


def _files(patterns: Sequence[str]) -> list[Path]:
    """Return the files that match, in the order of their names; of a folder those in it. Raises UsageError."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        inside = f"{glob.escape(pattern)}/*" if Path(pattern).is_dir() else pattern
        matched = [Path(one) for one in sorted(glob.glob(inside, recursive=True)) if Path(one).is_file()]  # noqa: PTH207 - a pattern may be absolute
        if not matched:
            raise UsageError(f"--each: there is no file {pattern}")
        found.update(dict.fromkeys(matched))
    if len(found) > FILES_MAX:
        raise UsageError(f"--each: {len(found)} files match, and a submission may have {FILES_MAX} jobs")
    return list(found)


def _progress(count: int) -> _Sent | None:
    return _Sent(count) if sys.stderr.isatty() else None


class _Sent:
    """Shows on the terminal how many files are there."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, done: int) -> None:
        sys.stderr.write(f"\r\x1b[Kfiles: {done} of {self._count}" + ("\r\x1b[K" if done == self._count else ""))
        sys.stderr.flush()
