"""Claims and the tasks that they are granted."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from scheduler.identifiers import Epoch, FileId, JobId, NodeId
from scheduler.wire.messages import Amounts, ExecutionRef, Message


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
    ahead: bool = Field(
        default=False, description="the node has no room for it yet: it starts it by itself once it has"
    )
    priority: int = Field(default=0, description="of those ahead, smaller numbers start first; among equals, the older")
    tries: int = Field(description="how many tries this job has had, this one included")


class RefusedClaim(ExecutionRef):
    """A claim that was refused: the node drops the placement."""

    why: str


class ClaimAnswer(Message):
    """The answer to a batch of claims: every claim is granted or refused; the order is free."""

    granted: list[TaskSpec]
    refused: list[RefusedClaim]
