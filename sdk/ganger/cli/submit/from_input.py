"""`ganger submit -`: requests for jobs from standard input, as JSON or JSON lines, each as `POST /jobs/` takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ganger.cli import streams
from ganger.documents import JsonObject
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import JobRequest

WORD = "-"


def requests(options: JobRequest) -> list[JsonObject]:
    """Return the bodies of the jobs; what an option says holds for each that does not say it itself. Raises UsageError."""
    entries = _entries(streams.read_text(Path("-")))
    if not entries:
        raise UsageError("standard input holds no request for a job")
    said = options.document()
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise UsageError(
                f'entry {number} of standard input is not an object such as {{"command": ["echo", "hello"]}}'
            )
    return [{**said, **entry} for entry in entries]


def _entries(text: str) -> list[JsonObject]:
    """Return the objects of a document, of a list of them, or of lines with one each."""
    try:
        whole = json.loads(text) if text.strip() else []
    except RecursionError:
        raise UsageError("standard input is nested too deeply") from None
    except ValueError:
        return [_line(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def _line(number: int, line: str) -> JsonObject:
    try:
        value: JsonObject = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"line {number} of standard input is not JSON: {error}") from None
    return value
