"""What a node's core wants done. Within one answer: facts are written down before anything else is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from scheduler.wire import ClaimOne, Held, ReportOne, Spec
from workers.journal import Fact
from workers.paths import Key


@dataclass(frozen=True, slots=True)
class Write:
    """Keep this fact across the death of the agent."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Register:
    """Introduce the node to the scheduler, until it answers."""

    held: list[Held]


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for this placement, until there is an answer. Not done unless its intent could be written."""

    claim: ClaimOne


@dataclass(frozen=True, slots=True)
class Stage:
    """Make the attempt's directory afresh and put its inputs there."""

    spec: Spec
    uid: int | None
    gid: int | None
    gpus: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StopWork:
    """Give up staging or collecting for this execution; its end is still told."""

    key: Key


@dataclass(frozen=True, slots=True)
class Run:
    """A command to start, complete. Durations in seconds, None = no limit; `limits` as the supervisor takes them."""

    key: Key
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
class Start:
    """Start a command; repeating it for a command that the same supervisor knows is harmless."""

    run: Run


@dataclass(frozen=True, slots=True)
class Follow:
    """Ship the output of a command that an earlier life of the agent started."""

    run: Run


@dataclass(frozen=True, slots=True)
class Kill:
    """End the whole tree: asked to end, and after `grace_s` killed."""

    key: Key
    grace_s: float


@dataclass(frozen=True, slots=True)
class Collect:
    """Check and upload the outputs of the attempt."""

    spec: Spec
    uid: int | None


@dataclass(frozen=True, slots=True)
class Ship:
    """Hand over all output of the execution's programs that is still here, up to its cap."""

    key: Key
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the scheduler of the end, until it answers."""

    report: ReportOne


@dataclass(frozen=True, slots=True)
class Release:
    """The supervisor may forget this tree."""

    key: Key


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the attempt's directory and the files of its output."""

    key: Key


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is held any more and the node was told to stop: sign off, then exit."""


@dataclass(frozen=True, slots=True)
class Say:
    """A line for the log."""

    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    level: Literal["debug", "info", "warning"] = "info"


Effect: TypeAlias = (
    Write
    | Register
    | Claim
    | Stage
    | StopWork
    | Start
    | Follow
    | Kill
    | Collect
    | Ship
    | Report
    | Release
    | Remove
    | Leave
    | Say
)
