"""From words of the command line to inputs of a job type: values of the right kind, files sent."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ganger.cli.data import job_types
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, JobRequest, JobType


def typed(api: Client, request: JobRequest, kind: str, words: list[str]) -> JobRequest:
    """Return the request for a job type, with its inputs; files are sent here. Raises UsageError, NotFound."""
    job_type = _meant(api, kind, request.project)
    given = _by_name(words)
    for name in given:
        if job_type.input_type(name) is None:
            known = ", ".join(entry["name"] for entry in (job_type.interface or {}).get("input_data") or []) or "none"
            raise UsageError(f"{job_type.name}:{job_type.version} has no input {name!r} (it has: {known})")
    values = {name: _value(api, job_type, name, texts, request.project) for name, texts in given.items()}
    return replace(
        request, job_type=job_type.name, version=job_type.version, inputs={**(request.inputs or {}), **values}
    )


def _meant(api: Client, kind: str, project: str | None) -> JobType:
    """Return the type as the API will take it: the project's own before the installation's."""
    from ganger import NotFound  # noqa: PLC0415 - the connection has brought it anyway

    if project is not None:
        with suppress(NotFound, UsageError):
            return job_types.resolve(api, kind, project)
    return job_types.resolve(api, kind)


def _by_name(words: list[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"--input takes NAME=VALUE or NAME=@PATH, not {word!r}")
        given.setdefault(name, []).append(value)
    return given


def _value(api: Client, job_type: JobType, name: str, texts: list[str], project: str | None) -> object:
    kind = job_type.input_type(name)
    if kind == "files":
        return _files(api, name, texts, project)
    if len(texts) > 1:
        raise UsageError(f"the input {name!r} takes one value, not {len(texts)}")
    return _files(api, name, texts, project)[0] if kind == "file" else _property(job_type, name, texts[0])


def _files(api: Client, name: str, texts: list[str], project: str | None) -> list[int]:
    """Return the ids of files; those that are not there yet are sent."""
    paths = {text: Path(text[1:]) for text in texts if text.startswith("@")}
    for path in paths.values():
        if not path.is_file():
            raise UsageError(f"the input {name!r}: there is no file {path}")
    wrong = next((text for text in texts if text not in paths and not text.isdecimal()), None)
    if wrong is not None:
        raise UsageError(f"the input {name!r} takes a file: @PATH to send one, or the id of one that is there")
    sent = dict(zip(paths, api.files.upload_many(list(paths.values()), project=project), strict=True))
    return [sent[text].id if text in sent else int(text) for text in texts]


def _property(job_type: JobType, name: str, text: str) -> object:
    """Return text where the interface says string, else what the text means as JSON, else the text."""
    entries = (job_type.interface or {}).get("input_data") or []
    schema = next((entry.get("schema") for entry in entries if entry.get("name") == name), None) or {}
    if schema.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
