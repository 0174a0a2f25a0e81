"""What can happen to a node: everything that its core is told. Effects (`effects.py`) are what it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from scheduler.wire import BeatAnswer, ClaimAnswer, OutputValue, Registered
from workers.paths import ExecutionKey


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens: `boot` decides (CLOCK_BOOTTIME, seconds), `wall` is for people (epoch seconds)."""

    boot: float
    wall: float


class RunOutcome(StrEnum):
    """How a run ended: the command of one phase of a try."""

    EXITED = "exited"
    """By itself; exit code or signal say how."""
    KILLED = "killed"
    """By this node's own wish."""
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    DISK_FULL = "disk-full"
    FENCED = "fenced"
    """Without news from the scheduler for too long."""
    LAUNCH = "launch"
    """It never started."""
    LOST = "lost"
    """With the supervisor that had started it."""


@dataclass(frozen=True, slots=True)
class PlacementsReceived:
    """A message from the node's queue names placements."""

    epoch: int
    keys: Sequence[ExecutionKey]


@dataclass(frozen=True, slots=True)
class BeatAnswered:
    """The scheduler says what it wants of the node. `sent` is the CLOCK_BOOTTIME at which the beat was sent."""

    answer: BeatAnswer
    sent: float


@dataclass(frozen=True, slots=True)
class RegisterAnswered:
    """The scheduler has taken the node in. `sent` is the CLOCK_BOOTTIME at which it was asked."""

    answer: Registered
    sent: float


@dataclass(frozen=True, slots=True)
class ClaimAnswered:
    """The scheduler has decided on claims."""

    answer: ClaimAnswer


@dataclass(frozen=True, slots=True)
class ReportAnswered:
    """Reports were taken, or came too late (`fenced`)."""

    accepted: Sequence[ExecutionKey]
    fenced: Sequence[ExecutionKey]


@dataclass(frozen=True, slots=True)
class Replaced:
    """The scheduler does not know the node under this epoch any more; said of a call that was made with it."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ExecutionFailure:
    """Why an execution fails: the name of a built-in error (None: the exit code says it) and a sentence for people.

    `of_job`: a launch failed because of what the job asks for, not because of this node, as far as can be told.
    """

    error: str | None
    message: str
    of_job: bool = False


@dataclass(frozen=True, slots=True)
class Staged:
    """The attempt's directory is ready with its inputs, or could not be made so."""

    key: ExecutionKey
    failure: ExecutionFailure | None = None


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a command ended; then its whole tree is gone. Times in epoch seconds, for people."""

    outcome: RunOutcome
    exit_code: int | None = None
    signal: int | None = None
    started: float | None = None
    completed: float | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    of_program: bool = False
    """It never started, and that was the program's fault: there is none of that name, or it may not be executed."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A command has ended. May be told more than once."""

    key: ExecutionKey
    phase: str
    end: RunEnd


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing of this execution's tree runs, nor will."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class SupervisorUp:
    """A supervisor answers. `runs` are the commands it knows of; the ends among them are told separately, afterwards."""

    runs: frozenset[tuple[ExecutionKey, str]]


@dataclass(frozen=True, slots=True)
class Collected:
    """Outputs are uploaded, or cannot be."""

    key: ExecutionKey
    outputs: Sequence[OutputValue] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    failure: ExecutionFailure | None = None


@dataclass(frozen=True, slots=True)
class Shipped:
    """All that the programs of an execution wrote has been handed over (or given up on)."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """Why the node should get no work now; None: it is well."""

    trouble: str | None


@dataclass(frozen=True, slots=True)
class ClaimsDropped:
    """These claims were not sent, because their intent could not be written down."""

    keys: Sequence[ExecutionKey]


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Stop: hand all work back (`return`), at once without grace (`now`), or finish it first (`drain`)."""

    how: Literal["return", "now", "drain"]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; at least once a second."""


Event: TypeAlias = (
    PlacementsReceived
    | BeatAnswered
    | RegisterAnswered
    | ClaimAnswered
    | ReportAnswered
    | Replaced
    | Staged
    | RunEnded
    | Idle
    | SupervisorUp
    | Collected
    | Shipped
    | HealthChanged
    | ClaimsDropped
    | StopRequested
    | Tick
)
