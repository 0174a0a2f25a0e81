"""What a node's core wants done. Within one answer: facts are written down before anything else is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from scheduler.wire import ExecutionClaim, ExecutionReport, HeldExecution, TaskSpec
from workers.journal import Fact
from workers.paths import ExecutionKey


@dataclass(frozen=True, slots=True)
class WriteFact:
    """Keep this fact across the death of the agent."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class RegisterNode:
    """Introduce the node to the scheduler, until it answers."""

    held: list[HeldExecution]


@dataclass(frozen=True, slots=True)
class SendClaim:
    """Ask for this placement, until there is an answer. Not done unless its intent could be written."""

    claim: ExecutionClaim


@dataclass(frozen=True, slots=True)
class StageInputs:
    """Make the attempt's directory afresh and put its inputs there."""

    spec: TaskSpec
    uid: int | None
    gid: int | None
    gpus: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StopFileWork:
    """Give up staging or collecting for this execution; its end is still told."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A command to start, complete. Durations in seconds, None = no limit; `limits` as the supervisor takes them."""

    key: ExecutionKey
    phase: str
    argv: list[str]
    env: Mapping[str, str]
    cwd: str
    folder: str
    stdout: str
    stderr: str
    timeout_s: float | None
    grace_s: float
    lease_s: float
    uid: int | None
    gid: int | None
    limits: Mapping[str, int | None]
    output_bytes: int


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start a command; repeating it for a command that the same supervisor knows is harmless."""

    run: RunSpec


@dataclass(frozen=True, slots=True)
class FollowOutput:
    """Ship the output of a command that an earlier life of the agent started."""

    run: RunSpec


@dataclass(frozen=True, slots=True)
class KillTree:
    """End the whole tree: asked to end, and after `grace_s` killed."""

    key: ExecutionKey
    grace_s: float


@dataclass(frozen=True, slots=True)
class CollectOutputs:
    """Check and upload the outputs of the attempt."""

    spec: TaskSpec
    uid: int | None


@dataclass(frozen=True, slots=True)
class ShipOutput:
    """Hand over all output of the execution's programs that is still here, up to its cap."""

    key: ExecutionKey
    output_bytes: int


@dataclass(frozen=True, slots=True)
class SendReport:
    """Tell the scheduler of the end, until it answers."""

    report: ExecutionReport


@dataclass(frozen=True, slots=True)
class ReleaseTree:
    """The supervisor may forget this tree."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class RemoveFiles:
    """Remove the attempt's directory and the files of its output."""

    key: ExecutionKey


@dataclass(frozen=True, slots=True)
class LeaveCluster:
    """Nothing is held any more and the node was told to stop: sign off, then exit."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the log."""

    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    level: Literal["debug", "info", "warning"] = "info"


NodeCommand: TypeAlias = (
    WriteFact
    | RegisterNode
    | SendClaim
    | StageInputs
    | StopFileWork
    | StartRun
    | FollowOutput
    | KillTree
    | CollectOutputs
    | ShipOutput
    | SendReport
    | ReleaseTree
    | RemoveFiles
    | LeaveCluster
    | LogLine
)
