"""The documents within answers about jobs, in the documented forms: always with their version and every list."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import cast

from api.http.schema.job_documents import (
    DataEntryView,
    DataView,
    InputView,
    InterfaceView,
    InterfaceWithCommand,
    OutputView,
    ResultsView,
)
from scheduler.documents import JobDataDocument, JobResults
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.job_type.interface import VERSION, Interface

_PLAIN = re.compile(r"[^\s'\"\\]+")


def interface(declared: Interface) -> InterfaceView:
    """Return the inputs and outputs of a type."""
    document = declared.document()
    return {
        "version": VERSION,
        "input_data": cast("Sequence[InputView]", document["input_data"]),
        "output_data": cast("Sequence[OutputView]", document["output_data"]),
    }


def interface_with_command(definition: Definition) -> InterfaceWithCommand:
    """Return the inputs and outputs of a type with its command."""
    return {
        **interface(definition.interface),
        "command": definition.command[0] if definition.command else "",
        "command_arguments": arguments(definition.command),
    }


def arguments(command: Sequence[str]) -> str:
    """Return the arguments of a command as one text, in quotes where a shell would need them; `${input}` stays as it is."""
    return " ".join(one if _PLAIN.fullmatch(one) else shlex.quote(one) for one in command[1:])


def data(given: JobDataDocument) -> DataView:
    """Return what a job was given."""
    return {
        "version": given.get("version", VERSION),
        "input_data": cast("Sequence[DataEntryView]", given.get("input_data", [])),
        "output_data": cast("Sequence[DataEntryView]", given.get("output_data", [])),
    }


def results(made: JobResults) -> ResultsView:
    """Return what a job, or a try, has made."""
    return {
        "version": made.get("version", VERSION),
        "output_data": cast("Sequence[DataEntryView]", made.get("output_data", [])),
        "properties": made.get("properties", {}),
    }
