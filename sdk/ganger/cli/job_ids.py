"""Ids of jobs as commands take them: numbers, or `-` for those that stand on standard input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ganger.cli import streams
from ganger.errors import UsageError


def job_id(text: str | int) -> int:
    """Return the id of a job; `-` reads it from standard input. Raises ValueError, UsageError."""
    if text == "-":
        found = job_ids(["-"])
        if len(found) != 1:
            raise UsageError(f"standard input has {len(found)} ids, where one is wanted")
        return found[0]
    if not re.fullmatch(r"\d{1,19}", str(text), re.ASCII) or int(text) == 0:
        raise ValueError(f"{text!r} is not the id of a job, such as 12")
    return int(text)


def job_ids(texts: Sequence[str]) -> list[int]:
    """Return ids of jobs; `-` stands for those of standard input: numbers, lines of `ganger jobs`, JSON lines. Raises UsageError."""
    found: list[int] = []
    for text in texts:
        try:
            found += _ids_of_input() if text == "-" else [job_id(text)]
        except ValueError as error:
            raise UsageError(str(error)) from None
    return found


def _ids_of_input() -> Iterator[int]:
    for line in streams.read_text(Path("-")).splitlines():
        if line.lstrip().startswith(("{", "[")):
            yield from _ids_of_json(line)
        else:
            for word in line.split("\t")[0].split():  # lines of `ganger jobs` begin with the id
                yield job_id(word)


def _ids_of_json(line: str) -> Iterator[int]:
    """Yield the ids in a line of JSON: of a job, of a submission, or a list of numbers."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"{line[:40]!r} is neither an id nor JSON") from None
    entries = value.get("job_ids", [value]) if isinstance(value, dict) else value
    for entry in entries if isinstance(entries, list) else [entries]:
        yield job_id(entry.get("id", "") if isinstance(entry, dict) else entry)


JobId: TypeAlias = Annotated[
    int, typer.Argument(metavar="JOB", parser=job_id, help="The job's id; - reads it from standard input.")
]
