"""Words for programs to branch on, in queries and answers, taken from where they are decided."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import WithJsonSchema

from scheduler.explain import explain, view
from scheduler.rules.cluster.reasons import NO_NODES, Reason
from scheduler.rules.explain.answer import FixKind
from scheduler.rules.explain.wording import slug

REASONS = (
    *(slug(reason) for reason in Reason),
    view.NEVER,
    NO_NODES,
    explain.BEING_STOPPED,
    explain.CLEARING,
)
FIXES = tuple(slug(fix) for fix in FixKind)

CategoryWord: TypeAlias = Literal["SYSTEM", "DATA", "ALGORITHM"]
"""The side that an error is the fault of: the platform, the data, or the program."""

ReasonWord: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(set(REASONS))})]
"""Why a job waits, or a node will not do."""

FixWord: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(FIXES)})]
"""The kind of a change that would help."""

WarningWord: TypeAlias = Annotated[
    str, WithJsonSchema({"type": "string", "enum": sorted((view.NEVER, view.FORBIDDEN))})
]
"""Why a job that was taken could never start."""

WouldWord: TypeAlias = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["start", "wait", "make-room", "refuse"]})
]
"""The way the next tick would treat a job."""
