"""Commands: what the state machine of a node wants done. Facts are written before any other command is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from scheduler.wire import ExecutionClaim, ExecutionReport, ExecutionStart, HeldExecution, TaskSpec
from workers.journal import JournalEntry
from workers.paths import ExecutionKey
from workers.supervisor.request import RunRequest


@dataclass(frozen=True, slots=True)
class WriteJournalEntry:
    """Write this fact to the journal, so that it outlives the agent."""

    fact: JournalEntry


@dataclass(frozen=True, slots=True)
class RegisterNode:
    """Register the node with the scheduler, naming what it holds; repeated until the scheduler answers."""

    held: list[HeldExecution]


@dataclass(frozen=True, slots=True)
class SendClaim:
    """Claim this placement; repeated until there is an answer. It is not sent if its intent could not be written."""

    claim: ExecutionClaim


@dataclass(frozen=True, slots=True)
class SendStart:
    """Tell the scheduler that an execution has started here that waited ahead of room; repeated until it is answered."""

    start: ExecutionStart


@dataclass(frozen=True, slots=True)
class KeepSlotPosition:
    """Write down how many user ids were given out, so that the next life of the agent goes on after them."""

    position: int
    free: frozenset[int] = frozenset()
    """The ids that nobody has: of which something may be left, that has to go before they come round again."""


@dataclass(frozen=True, slots=True)
class StageInputs:
    """Make a fresh directory for the attempt and put its inputs there."""

    spec: TaskSpec
    uid: int | None
    gid: int | None
    gpus: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StopFileWork:
    """Give up staging or collecting for this execution; its event still comes."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class MendWorkDir:
    """Make the attempt's directory usable again for a last command, whatever the job has done to it."""

    key: ExecutionKey
    uid: int | None
    gid: int | None


@dataclass(frozen=True, slots=True)
class StartRun:
    """Have the supervisor start a phase's command. A command that the supervisor knows already is not started again."""

    key: ExecutionKey
    run: RunRequest


@dataclass(frozen=True, slots=True)
class FollowOutput:
    """Ship the output of a command that an earlier life of the agent had started."""

    key: ExecutionKey
    run: RunRequest


@dataclass(frozen=True, slots=True)
class KeepOutput:
    """Ship what the command of a phase wrote to these streams, a byte a character; they have no file."""

    key: ExecutionKey
    phase: str
    streams: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KillTree:
    """End the whole process tree: ask its processes to end, and kill them after `grace_s` seconds."""

    key: ExecutionKey
    grace_s: float


@dataclass(frozen=True, slots=True)
class KeepVenv:
    """Make the Python environment that the execution has made the node's own."""

    spec: TaskSpec


@dataclass(frozen=True, slots=True)
class CollectOutputs:
    """Check and upload the outputs of the attempt."""

    spec: TaskSpec
    uid: int | None


@dataclass(frozen=True, slots=True)
class ShipOutput:
    """Hand over the rest of what the execution's programs wrote, up to `output_bytes` in all.

    `kept` is what stands in no file, by phase and stream: a later life of the agent knows it from the journal alone.
    """

    key: ExecutionKey
    output_bytes: int
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SendReport:
    """Report the end of the execution to the scheduler; repeated until the scheduler answers."""

    report: ExecutionReport


@dataclass(frozen=True, slots=True)
class ReleaseTree:
    """Let the supervisor forget this process tree."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class RemoveFiles:
    """Remove the attempt's directories and its output files."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class LeaveCluster:
    """Sign off, then exit: the node was told to leave and holds nothing any more."""


@dataclass(frozen=True, slots=True)
class WriteLogLine:
    """Write a line to the log."""

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)
    level: Literal["debug", "info", "warning"] = "info"


TreeCommand: TypeAlias = StartRun | KillTree | ReleaseTree
"""Commands for the supervisor."""

NodeCommand: TypeAlias = (
    WriteJournalEntry
    | RegisterNode
    | SendClaim
    | SendStart
    | KeepSlotPosition
    | StageInputs
    | StopFileWork
    | MendWorkDir
    | StartRun
    | FollowOutput
    | KillTree
    | KeepVenv
    | CollectOutputs
    | KeepOutput
    | ShipOutput
    | SendReport
    | ReleaseTree
    | RemoveFiles
    | LeaveCluster
    | WriteLogLine
)
