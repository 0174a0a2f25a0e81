"""What is fuzzed without a server: each target reads one hostile input and may refuse it, in its own words and in time.

A target takes bytes, raises nothing for any of them, and holds no state.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scheduler.errors import GangerError
from scheduler.jobs import json_schema
from scheduler.rules.job_type import definition, parameters
from scheduler.servers import addresses
from workers.files import manifest
from workers.output import progress

Target = Callable[[bytes], None]


def schema(data: bytes) -> None:
    """A JSON Schema and a value for it."""
    try:
        given: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(given, list) and len(given) == 2 and isinstance(given[0], dict):
        json_schema.fault(given[0])
        json_schema.complaint(given[0], given[1])


def program_manifest(data: bytes) -> None:
    """The file that a program leaves about its results."""
    try:
        manifest.read(data[: manifest.MOST_BYTES])
    except manifest.ManifestError:
        return


def progress_line(data: bytes) -> None:
    """What a program prints."""
    progress.last_line(data)


def job_type(data: bytes) -> None:
    """A definition, as it is stored."""
    try:
        given: Any = json.loads(data)
        if isinstance(given, dict) and all(isinstance(one, str) for one in given.get("command") or []):
            made = definition.read({"command": given.get("command") or ["true"]})
            definition.check(made, known_errors=frozenset(), complaint=json_schema.complaint)
    except (ValueError, RecursionError, TypeError, GangerError):
        return


def arguments(data: bytes) -> None:
    """The arguments of a command."""
    words = data.decode("utf-8", "replace").split("\n")
    list(parameters.asked_for(words))
    parameters.in_code(words)


def address(data: bytes) -> None:
    """An address of a broker or an API."""
    for read in (addresses.broker, addresses.api):
        try:
            read(data.decode("utf-8", "replace"))
        except ValueError:
            continue


TARGETS: dict[str, Target] = {
    "schema": schema,
    "manifest": program_manifest,
    "progress": progress_line,
    "job-type": job_type,
    "arguments": arguments,
    "address": address,
}
