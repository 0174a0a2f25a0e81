"""The messages between nodes and scheduler: the calls of the node protocol. What the broker carries is in `broker_protocol`.

Every call takes a batch and is safe to repeat. Unknown fields are ignored, so that a node of the release before or after
is understood. Amounts are integers in thousandths of the unit (cpu, MiB, piece); durations are seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from scheduler.identifiers import Attempt, Epoch, ExecutionId, FileId, JobId, NodeId
from scheduler.rules.lifecycle.outcome import ReasonForNode, Reported, StopReason

PROTOCOL = 1
"""Version of this protocol; a node sends it when it registers."""

MAX_DEPTH = 16
"""Deepest nesting of a value that a program gives as its result."""

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


# --- register ---------------------------------------------------------------------------------------------


class HeldExecution(ExecutionRef):
    """An execution that the node still holds from before its restart, with the token of its claim."""

    token: str


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


# --- claim ------------------------------------------------------------------------------------------------


class ExecutionClaim(ExecutionRef):
    """The claim of one execution. The node makes `token` at random and writes it to its disk before it asks."""

    token: str = Field(min_length=16, max_length=64)


class ClaimBatch(Message):
    """A batch of claims of one node."""

    node_id: NodeId
    epoch: Epoch
    claims: list[ExecutionClaim] = Field(max_length=5000)


class InputFile(Message):
    """A file to stage: its id, its size in bytes, its SHA-256, and the places where it can be read."""

    file_id: FileId
    file_name: str
    size: int
    sha256: str | None
    url: str = Field(description="path under the API to download from")
    local_path: str | None = Field(default=None, description="where it lies if this machine shares that disk")
    source: str | None = Field(default=None, description="http(s) URL to read it from instead of the API", repr=False)
    source_networks: list[str] | None = Field(
        default=None, description="private networks that `source` may lead to; null: any, as operators named its host"
    )


class InputSpec(Message):
    """One named input: a property's value, or files."""

    name: str
    type: Literal["property", "file", "files"]
    value: Any = None
    files: list[InputFile] = []


class OutputSpec(Message):
    """One declared output. `glob` is matched beneath the output directory; None means the name itself or `name.*`."""

    name: str
    type: Literal["file", "files", "property"]
    required: bool = True
    media_type: str | None = None
    glob: str | None = None


class ExecutionLimits(Message):
    """The limits of one execution. Durations are seconds; None means unlimited."""

    timeout_s: float | None = None
    pre_timeout_s: float | None = None
    post_timeout_s: float | None = None
    grace_s: float = 10.0
    cleanup_timeout_s: float = 30.0
    lease_s: float = 90.0
    output_bytes: int = 10 * 1024 * 1024
    output_files: int = 100_000
    pids: int | None = None
    nofile: int | None = None
    nofile_asked: int | None = Field(default=None, description="what the job or its type asks for by itself")


class Commands(Message):
    """The commands of the phases, before substitution. With `shell` each command is one string for /bin/sh -c."""

    job: list[str]
    pre: list[str] | None = None
    post: list[str] | None = None
    cleanup: list[str] | None = None
    shell: bool = False
    runner: Literal["command", "python", "container"] = "command"
    options: dict[str, Any] = {}


class TaskSpec(ExecutionRef):
    """All that a node needs to run one execution."""

    token: str
    job_id: JobId
    job_name: str | None
    type_name: str
    type_version: str
    project: str
    amounts: Amounts
    commands: Commands
    environment: dict[str, str]
    inputs: list[InputSpec]
    outputs: list[OutputSpec]
    limits: ExecutionLimits
    secret_names: list[str] = []
    secrets: dict[str, str] = Field(default={}, repr=False, description="name to text; only ever in files of the job")
    tries: int = Field(description="how many tries this job has had, this one included")


class RefusedClaim(ExecutionRef):
    """A claim that was refused: the node drops the placement."""

    why: str


class ClaimAnswer(Message):
    """The answer to a batch of claims: every claim is granted or refused; the order is free."""

    granted: list[TaskSpec]
    refused: list[RefusedClaim]


# --- report -----------------------------------------------------------------------------------------------


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


class OutputFacts(Message):
    """What the program said of the data in one of its output files: the times that it covers, and where (GeoJSON)."""

    file_id: FileId
    data_started: datetime | None = None
    data_ended: datetime | None = None
    geometry: dict[str, Any] | None = None


class OutputValue(Message):
    """An output that was published: its files by id, or the value of a property."""

    name: str
    file_id: FileId | None = None
    file_ids: list[FileId] | None = None
    value: Any = None
    facts: list[OutputFacts] = []


class ExecutionReport(ExecutionRef):
    """The report of one execution's end, sent only when its process tree is empty, and repeated until it is acknowledged."""

    token: str
    outcome: Reported
    error: str | None = Field(
        default=None, max_length=128, description="name of the built-in error; None with exit code"
    )
    message: Text = Field(default="", max_length=2000, description="one sentence for people")
    of_job: bool = Field(default=False, description="a launch failed for what the job asks for, not for this node")
    phases: dict[Literal["pre", "job", "post"], PhaseReport] = {}
    outputs: list[OutputValue] = []
    properties: dict[str, Any] = {}

    def digest(self) -> str:
        """Return a text that is equal for two reports of the same end, and differs for two different ends."""
        return f"{self.outcome}:{self.error}:{sorted((p, r.exit_code, r.signal) for p, r in self.phases.items())}"


class ReportBatch(Message):
    """A batch of reports of one node. The epoch is not checked: the token of the claim decides."""

    node_id: NodeId
    reports: list[ExecutionReport] = Field(max_length=5000)


class ReportAnswer(Message):
    """The answer to a batch of reports: each is in exactly one of the lists, and the node may forget all of them.

    The reports in `fenced` came too late: their outputs are not published, and the node drops them.
    """

    accepted: list[ExecutionRef]
    fenced: list[ExecutionRef]


class BulkOutput(Message):
    """One of many small output files that are brought in one request."""

    output: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9 _-]{0,127}$")
    file_name: str = Field(max_length=255)
    media_type: str = Field(max_length=255)
    sha256: str
    size: int = Field(ge=0, le=MAX_BULK_BYTES)


class BulkOutputs(ExecutionRef):
    """Small output files of one running attempt. The body of the request is this as JSON, then their contents in order."""

    token: str = Field(min_length=1, max_length=64)
    files: list[BulkOutput] = Field(max_length=MAX_BULK_FILES)


# --- output of programs -----------------------------------------------------------------------------------


class OutputChunk(ExecutionRef):
    """A piece of a program's output: base64 of the bytes from `offset` on. A repeat changes nothing.

    `token` is that of the claim.
    """

    token: str = Field(default="", max_length=64, repr=False)
    phase: Literal["pre", "job", "post", "cleanup"]
    stream: Literal["stdout", "stderr"]
    offset: int = Field(ge=0)
    at: float = Field(description="epoch seconds of the node's clock, for people")
    data: str


class OutputChunks(Message):
    """A batch of output. The offsets of one stream are in order."""

    node_id: NodeId
    chunks: list[OutputChunk] = Field(max_length=5000)
