"""Parameters of this dialect are texts; what job types take and make are JSON values. Both ways, by what a job type declares."""

from __future__ import annotations

from scheduler.documents import JsonValue
from scheduler.rules.job_type.interface import DeclaredInput
from scheduler.rules.workflow import texts


def text_of(value: JsonValue) -> str:
    """Return a value as a text: a text as it is, everything else as JSON."""
    return texts.text_of(value)


def value_for(declared: DeclaredInput, given: JsonValue) -> JsonValue:
    """Return what is given for a property as the property takes it; see `scheduler.rules.workflow.texts`."""
    return texts.value_for(declared.schema, given)
