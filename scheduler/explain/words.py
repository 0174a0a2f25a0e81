"""The words of explanations for programs to branch on, as the API's document lists them; made from the words of the rules."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import WithJsonSchema

from scheduler.rules.cluster.reasons import NO_NODES, Reason
from scheduler.rules.explain.answer import FixKind
from scheduler.rules.explain.wording import slug

NEVER: Final = "never-fits"
FORBIDDEN: Final = "never-allowed"
BEING_STOPPED: Final = "being-stopped"
CLEARING: Final = "room-being-cleared"
NEEDS: Final = "needs"
BLOCKED: Final = "blocked"
AWAITED: Final = "awaiting-upload"

REASONS: Final = frozenset({*map(slug, Reason), NEVER, NO_NODES, BEING_STOPPED, CLEARING, NEEDS, BLOCKED, AWAITED})
"""All words of `ReasonWord`."""

ReasonWord: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(REASONS)})]
"""Why a job waits, or a node will not do."""

FixWord: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(map(slug, FixKind))})]
"""The kind of a change that would help."""

WarningWord: TypeAlias = Literal["never-allowed", "never-fits"]
"""Why a job that was taken could never start."""

WouldWord: TypeAlias = Literal["start", "wait", "make-room", "refuse"]
"""The way the next tick would treat a job."""
