"""What all messages have in common, and the calls about the node itself: register and beat."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from scheduler.rules.lifecycle.outcome import ReasonForNode, StopReason

PROTOCOL = 1
"""Version of this protocol; a node sends it when it registers."""

MAX_DEPTH = 16
"""Deepest nesting of a value that a program gives as its result."""

MAX_SAMPLES = 250
"""The most samples of usage in one heartbeat: where all of their executions come to be thinned at once, that is some 4 s."""

MAX_SECONDS = 1e9
MAX_CPU_S = 1e13
MAX_MIB = 1e12
"""The most that a sample of usage may say: thirty years, ten thousand cpus for as long, an exabyte."""

MAX_BULK_FILES = 500
MAX_BULK_BYTES = 4 * 1024 * 1024
"""The most output files that are brought in one request, and the most that these hold together."""


def plain(text: str) -> str:
    """Return text that JSON and the database can hold: without NUL and without half a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


Text: TypeAlias = Annotated[str, BeforeValidator(lambda given: plain(given) if isinstance(given, str) else given)]
"""Text from programs, files and kernels, made fit for JSON and the database."""


class Message(BaseModel):
    """A frozen record that ignores unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Amounts(Message):
    """Resources in thousandths: cpus, MiB of memory, MiB of disk, pieces of custom resources."""

    cpus: int = Field(ge=0)
    mem: int = Field(ge=0)
    disk: int = Field(ge=0)
    custom: dict[str, int] = {}


class ExecutionRef(Message):
    """One placement: the execution and its attempt. Nothing more of a job ever travels through the broker."""

    execution_id: ExecutionId
    attempt: Attempt


class PhaseReport(Message):
    """The times of a phase (epoch seconds of the node's clock, for people) and the end of its command, if it has one.

    `arguments` is the command as it is run, where values were filled in.
    """

    started: float | None = None
    completed: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    usage: dict[str, float] = {}
    arguments: list[str] | None = None


class HeldExecution(ExecutionRef):
    """An execution that the node still holds from before its restart, with the token of its claim.

    `started` is false where the node's journal says that it waits ahead of room and was never started.
    """

    token: str
    started: bool = True


class NodeRegistration(Message):
    """The registration of a node: sent at its start, and whenever the server says that it was replaced."""

    protocol: int = PROTOCOL
    name: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    pool: str = Field(default="default", min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    hostname: str = Field(max_length=255)
    boot_id: str = Field(max_length=128)
    disk_id: str = Field(max_length=128, description="made once per node folder; another one means another node")
    amounts: Amounts
    labels: dict[str, str] = {}
    version: str = ""
    powers: dict[str, Any] = Field(default={}, description="what the node can contain and kill, for people")
    held: list[HeldExecution] = []
    runs_ahead: bool = Field(default=False, description="it starts by itself what is placed there ahead of room")
    credential: str | None = Field(
        default=None,
        min_length=32,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        repr=False,
        description="what the node will show from now on: made by it at random, and on its disk before it is sent",
    )
    place: str | None = Field(
        default=None, max_length=128, description="where the node's folder lies; a copy of it lies elsewhere"
    )

    @field_validator("amounts")
    @classmethod
    def _custom_only(cls, amounts: Amounts) -> Amounts:
        plain = Amounts.model_fields.keys() - {"custom"}
        for name in sorted(plain & amounts.custom.keys()):
            raise ValueError(f"{name} is not a custom resource; it is one of the amounts themselves")
        return amounts


class Registered(Message):
    """The node's id, epoch and intervals. The node kills the executions in `kill` before it claims anything."""

    node_id: NodeId
    epoch: Epoch
    beat_s: float
    lease_s: float
    keep: list[ExecutionRef]
    kill: list[ExecutionRef]
    credential_taken: bool = Field(default=False, description="the node shows its credential from now on")
    broker_user: str | None = Field(
        default=None, description="its own user at the broker; null: the one in its settings"
    )


# --- beat -------------------------------------------------------------------------------------------------


class Progress(ExecutionRef):
    """The progress that a running program reports, and the phases that have begun. `token` is that of the claim."""

    token: str = Field(default="", max_length=64, repr=False)
    percent: float | None = Field(default=None, ge=0, le=100)
    note: Text | None = Field(default=None, max_length=500)
    phase: Literal["pre", "job", "post"] | None = None
    phases: dict[Literal["pre", "job", "post"], PhaseReport] = {}


class UsageSample(ExecutionRef):
    """What a running execution used until a moment: `at` by the node's clock. `token` is that of the claim.

    `seconds` that its commands ran and `cpu_s` count from its start, over its phases; memory and disk are what it held then.
    Null is not known.
    """

    token: str = Field(min_length=1, max_length=64, repr=False)
    at: float = Field(allow_inf_nan=False)
    seconds: float = Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)
    cpu_s: float | None = Field(default=None, ge=0, le=MAX_CPU_S, allow_inf_nan=False)
    mem_mib: float | None = Field(default=None, ge=0, le=MAX_MIB, allow_inf_nan=False)
    disk_mib: float | None = Field(default=None, ge=0, le=MAX_MIB, allow_inf_nan=False)


CLOCK = "clock"
"""In the load that a heartbeat tells: the node's wall clock, in seconds since 1970."""


class HeartbeatBody(Message):
    """A heartbeat: sent every `beat_s` seconds, and at once when something changes that the scheduler should know."""

    node_id: NodeId
    epoch: Epoch
    holding: int = Field(ge=0, description="executions the node holds, for people")
    degraded: Text | None = Field(default=None, max_length=500, description="why the node should get no work now")
    draining: bool = Field(default=False, description="the node asks to get no new work (it was told to stop)")
    progress: list[Progress] = []
    load: dict[str, float] = {}
    usage: list[UsageSample] = Field(default=[], max_length=MAX_SAMPLES)


class Cancel(ExecutionRef):
    """The request to stop an execution with its whole process tree, after `grace_s` seconds."""

    reason: ReasonForNode = StopReason.CANCELED
    grace_s: float | None = None


class HeartbeatAnswer(Message):
    """The answer to a heartbeat. `waiting` repeats placements whose message may have been lost."""

    epoch: Epoch
    drain: bool
    cancels: list[Cancel]
    waiting: list[ExecutionRef]
    beat_s: float | None = Field(
        default=None, description="seconds to the next heartbeat; null: as at the registration"
    )
