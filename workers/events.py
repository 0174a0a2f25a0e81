"""Events: everything that can happen to a node. Its state machine answers each of them with commands (`commands`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from scheduler.identifiers import Epoch
from scheduler.wire import Amounts, ClaimAnswer, ExchangeAnswer, HeartbeatAnswer, OutputValue, Registered
from workers.paths import ExecutionKey

_NOTHING = Amounts(cpus=0, mem=0, disk=0)


@dataclass(frozen=True, slots=True)
class EventTime:
    """The time of an event, by two clocks: `boot` decides (CLOCK_BOOTTIME, seconds), `wall` is for people (epoch seconds)."""

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
class SlotsWithheld:
    """Processes, files or memory of these user ids are still there, though no execution has them: nobody is to get them."""

    uids: frozenset[int]


@dataclass(frozen=True, slots=True)
class PlacementsReceived:
    """A message from the node's queue names placements."""

    epoch: Epoch
    keys: Sequence[ExecutionKey]


@dataclass(frozen=True, slots=True)
class HeartbeatAnswered:
    """The scheduler has answered a heartbeat. `sent` is the CLOCK_BOOTTIME at which the heartbeat was sent."""

    answer: HeartbeatAnswer
    sent: float


@dataclass(frozen=True, slots=True)
class RegistrationAnswered:
    """The scheduler has registered the node. `sent` is the CLOCK_BOOTTIME at which the registration was sent.

    `amounts` is what the node registered with.
    """

    answer: Registered
    sent: float
    amounts: Amounts = _NOTHING


@dataclass(frozen=True, slots=True)
class ClaimAnswered:
    """The scheduler has granted or refused claims."""

    answer: ClaimAnswer


@dataclass(frozen=True, slots=True)
class ExchangeAnswered:
    """The scheduler has answered an exchange under this epoch: claims, starts and reports, and it had news for the node."""

    answer: ExchangeAnswer
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class ReportAnswered:
    """The scheduler has accepted reports, or they came too late (`fenced`)."""

    accepted: Sequence[ExecutionKey]
    fenced: Sequence[ExecutionKey]


@dataclass(frozen=True, slots=True)
class EpochReplaced:
    """The scheduler has refused a call because the node has another epoch by now; `epoch` is that of the call."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class ExecutionFailure:
    """Why an execution fails: the name of a built-in error (None: the exit code says it) and a sentence for people.

    `of_job`: a launch failed because of what the job asks for, not because of this node, as far as can be told.
    """

    error: str | None
    message: str
    of_job: bool = False


@dataclass(frozen=True, slots=True)
class InputsStaged:
    """The attempt's directory is ready with its inputs, or could not be made."""

    key: ExecutionKey
    failure: ExecutionFailure | None = None
    needs_venv: bool = False
    """Its Python environment has to be made first."""


@dataclass(frozen=True, slots=True)
class VenvKept:
    """A Python environment that was made is the node's own now, or could not be kept."""

    key: ExecutionKey
    failure: ExecutionFailure | None = None


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a phase's command ended. Its whole process tree is gone by then. Times in epoch seconds, for people."""

    outcome: RunOutcome
    exit_code: int | None = None
    signal: int | None = None
    started: float | None = None
    completed: float | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    of_program: bool = False
    """It never started, by the program's fault: there is no program of that name, or it may not be executed."""
    output: Mapping[str, str] | None = field(default=None, repr=False)
    """All that it wrote to streams that have no file, a byte a character, by stream; None from an older supervisor."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A phase's command has ended. The event may come more than once."""

    key: ExecutionKey
    phase: str
    end: RunEnd


@dataclass(frozen=True, slots=True)
class TreeIdle:
    """Nothing of this execution's process tree runs, and nothing of it will."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class SupervisorUp:
    """A supervisor answers. `runs` are the commands that it knows; their ends follow as events of their own."""

    runs: frozenset[tuple[ExecutionKey, str]]


@dataclass(frozen=True, slots=True)
class OutputsCollected:
    """The outputs are uploaded, or cannot be."""

    key: ExecutionKey
    outputs: Sequence[OutputValue] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    failure: ExecutionFailure | None = None


@dataclass(frozen=True, slots=True)
class OutputShipped:
    """All output of an execution's programs has been handed over, or was given up."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """The node's health has changed. `trouble` says why it should get no work now; None means that it is well."""

    trouble: str | None


@dataclass(frozen=True, slots=True)
class ClaimsDropped:
    """These claims were not sent, because the journal could not take their intents."""

    keys: Sequence[ExecutionKey]


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The node is to stop: hand all work back (`return`), the same without grace (`now`), or finish it first (`drain`)."""

    how: Literal["return", "now", "drain"]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; at least once a second."""


Event: TypeAlias = (
    PlacementsReceived
    | HeartbeatAnswered
    | RegistrationAnswered
    | ClaimAnswered
    | ExchangeAnswered
    | ReportAnswered
    | EpochReplaced
    | InputsStaged
    | VenvKept
    | RunEnded
    | TreeIdle
    | SupervisorUp
    | OutputsCollected
    | OutputShipped
    | HealthChanged
    | ClaimsDropped
    | StopRequested
    | SlotsWithheld
    | Tick
)
