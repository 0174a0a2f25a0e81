"""Requests and answers about the scheduler."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypedDict

from api.http.schema.fields import LEFT_OUT, ChangeBody, Reason
from scheduler.explain.words import ReasonWord

QueueModeWord = Literal["FIFO", "LIFO"]
SchedulerState = Literal["READY", "PAUSED", "STALE", "MISSING"]
MODES = ("FIFO", "LIFO")
MOST_RESERVATIONS = 10_000


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


QueueMode = Annotated[
    QueueModeWord,
    BeforeValidator(_upper),
    WithJsonSchema({"type": "string", "enum": [*MODES, *(mode.lower() for mode in MODES)]}),
]


class SchedulerChange(ChangeBody):
    """Changes to the scheduler; a field that is left out stays as it is. Ending a pause (`is_paused` false) clears its reason."""

    is_paused: bool = LEFT_OUT
    pause_reason: Reason | None = None
    queue_mode: Annotated[QueueMode, Field(description="in any case")] = LEFT_OUT
    preemption: Annotated[
        bool | None,
        Field(description="more urgent jobs may take the room of preemptible ones; null: as GANGER_PREEMPTION says"),
    ] = LEFT_OUT
    reservations: Annotated[
        int | None,
        Field(ge=0, le=MOST_RESERVATIONS, description="jobs that room is kept for; null: as GANGER_RESERVATIONS says"),
    ] = LEFT_OUT


class Leader(TypedDict):
    """The scheduler process that leads, and when it was last heard of."""

    holder: str
    term: int
    last_beat: datetime
    age_s: Annotated[float, Field(description="seconds since its last sign of life")]


class SchedulerView(TypedDict):
    """The scheduler: what operators have set, and whether it is alive. `waiting_by_reason` only with a token for all."""

    state: SchedulerState
    is_paused: bool
    pause_reason: str | None
    queue_mode: QueueModeWord
    preemption: Annotated[bool, Field(description="whether more urgent jobs may take the room of preemptible ones")]
    reservations: Annotated[int, Field(description="for how many jobs that cannot start yet room is kept at most")]
    leader: Leader | None
    tick_ms: float | None
    waiting_by_reason: Annotated[
        dict[ReasonWord, int] | None, Field(description="queued jobs by what keeps them first of all")
    ]
