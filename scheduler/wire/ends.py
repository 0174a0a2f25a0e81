"""Starts and ends of executions, the exchange that carries them with claims, and what programs leave: files and output."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from scheduler.identifiers import Epoch, FileId, NodeId
from scheduler.rules.lifecycle.outcome import Reported
from scheduler.wire.messages import MAX_BULK_BYTES, MAX_BULK_FILES, Cancel, ExecutionRef, Message, PhaseReport, Text
from scheduler.wire.work import ExecutionClaim, RefusedClaim, TaskSpec


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


class ExecutionStart(ExecutionRef):
    """The news that the node has started an execution that waited there ahead of room; `at` by the node's clock."""

    token: str
    at: float


class ExecutionReport(ExecutionRef):
    """The report of one execution's end, sent only when its process tree is empty, and repeated until it is acknowledged.

    `started` and `ended` are by the node's clock. One that was given ahead of room says with it when it started; with the
    outcome `unstarted` it never did.
    """

    token: str
    started: float | None = None
    ended: float | None = None
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
    now: float | None = Field(default=None, description="the node's clock as it sends this: ages count, not clocks")


class ReportAnswer(Message):
    """The answer to a batch of reports: each is in exactly one of the lists, and the node may forget all of them.

    The reports in `fenced` came too late: their outputs are not published, and the node drops them.
    """

    accepted: list[ExecutionRef]
    fenced: list[ExecutionRef]


# --- exchange ---------------------------------------------------------------------------------------------


class NodeExchange(Message):
    """What a node has to say and to ask, in one call: ends first, then starts, then claims.

    `now` is the node's clock as it sends this, so that its times become ages. May be repeated as a whole.
    """

    node_id: NodeId
    epoch: Epoch
    now: float
    claims: list[ExecutionClaim] = Field(default=[], max_length=5000)
    starts: list[ExecutionStart] = Field(default=[], max_length=5000)
    reports: list[ExecutionReport] = Field(default=[], max_length=5000)
    hungry: bool = Field(default=True, description="the node has little work ahead, or none: the scheduler should look")


class ExchangeAnswer(Message):
    """The answer: to claims, to starts (`overdrawn`: no room for them by the scheduler's books), to reports, and the news."""

    granted: list[TaskSpec] = []
    refused: list[RefusedClaim] = []
    overdrawn: list[ExecutionRef] = []
    accepted: list[ExecutionRef] = []
    fenced: list[ExecutionRef] = []
    drain: bool = False
    cancels: list[Cancel] = []
    waiting: list[ExecutionRef] = []


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
