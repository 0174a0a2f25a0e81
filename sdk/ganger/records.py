"""Frozen records of the API's answers. Unknown fields are kept, missing ones are None: old and new servers both fit.

`document` of a record is the answer exactly as it came. Times are aware and UTC, durations seconds, memory and disk MiB.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from ganger.documents import JsonObject
from ganger.errors import Unreachable

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELED"})


class Record(BaseModel):
    """The base of all records: one JSON object of an answer."""

    model_config = ConfigDict(frozen=True, extra="allow")
    _document: JsonObject = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, object]) -> Self:
        """Return the record of an answer. Raises Unreachable for what no Ganger answers."""
        try:
            record = cls.model_validate(document)
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise Unreachable(f"what answers is not Ganger's API, or of another version: see its {field!r}") from None
        record._document = dict(document)  # noqa: SLF001 - its own
        return record

    @property
    def document(self) -> JsonObject:
        """The answer exactly as it came; of a record inside another one, its fields."""
        return self._document or self.model_dump(mode="json")


class TypeRef(Record):
    """A job's type in short."""

    id: int | None = None
    name: str = ""
    version: str = ""
    title: str | None = None


class NodeRef(Record):
    """A node in short."""

    id: int | None = None
    hostname: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        return self.name or self.hostname or str(self.id)


class JobRef(Record):
    """A job by its id."""

    id: int


class Failure(Record):
    """The named reason why a job or execution failed."""

    name: str = ""
    title: str | None = None
    description: str | None = None
    category: str | None = None
    should_be_retried: bool | None = None


class File(Record):
    """An uploaded file or an output."""

    id: int
    file_name: str = ""
    media_type: str | None = None
    file_size: int | None = None
    sha256: str | None = None
    created: datetime | None = None
    is_deleted: bool = False
    url: str | None = None
    project: str | None = None
    job: JobRef | None = None
    output: str | None = None

    @property
    def job_id(self) -> int | None:
        """The job that wrote it, None of an upload."""
        return None if self.job is None else self.job.id


class Value(Record):
    """One input or output of a job: `value` is JSON for a property, a file or list of files else; None when missing."""

    name: str
    type: str = "property"
    value: Any = None

    @property
    def files(self) -> list[File]:
        """The files of this value, none for a property."""
        if self.type == "property" or self.value is None:
            return []
        entries = self.value if isinstance(self.value, list) else [self.value]
        return [File.read(entry) for entry in entries if isinstance(entry, dict)]


class Execution(Record):
    """One try of a job on one node."""

    id: int
    status: str = ""
    attempt: int | None = None
    member: int = 0
    node: NodeRef | None = None
    error: Failure | None = None
    message: str | None = None
    command_arguments: Any = None
    timeout: float | None = None
    created: datetime | None = None
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    pre_started: datetime | None = None
    pre_completed: datetime | None = None
    pre_exit_code: int | None = None
    job_started: datetime | None = None
    job_completed: datetime | None = None
    job_exit_code: int | None = None
    post_started: datetime | None = None
    post_completed: datetime | None = None
    post_exit_code: int | None = None
    cancel_requested: str | None = None
    released: datetime | None = None

    def seconds(self, phase: str) -> float | None:
        """Return how long a phase (`pre`, `job`, `post`) took, None where it did not run to its end."""
        began, done = getattr(self, f"{phase}_started"), getattr(self, f"{phase}_completed")
        return None if began is None or done is None else (done - began).total_seconds()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the first command that ended badly, else of the job's own command."""
        codes = [getattr(self, f"{phase}_exit_code") for phase in ("pre", "job", "post")]
        return next((code for code in codes if code), self.job_exit_code)


class AwaitedInput(Record):
    """An input that a job awaits, or has awaited: what is asked of it, what has come, and where it is sent to (None: nowhere)."""

    name: str = ""
    file_name: str | None = None
    media_type: str | None = None
    max_size: int | None = None
    sha256: str | None = None
    optional: bool = False
    expires: datetime | None = None
    size: int | None = None
    received: datetime | None = None
    file_id: int | None = None
    upload_url: str | None = None


class Job(Record):
    """A job: the request of a user, and its state. Lists leave out inputs, outputs and executions; only `jobs.get` has them."""

    id: int
    uuid: str | None = None
    name: str | None = None
    job_type: TypeRef = TypeRef()
    status: str = ""
    error: Failure | None = None
    priority: int | None = None
    num_exes: int = 0
    forgiven: int = 0
    max_tries: int | None = None
    timeout: float | None = None
    count: int = 1
    cpus_required: float | None = None
    mem_required: float | None = None
    disk_in_required: float | None = None
    disk_out_required: float | None = None
    pool: str | None = None
    node: NodeRef | None = None
    labels: dict[str, str] = {}
    project: str | None = None
    is_skipped: bool = False
    forced_by: str | None = None
    cache: JsonObject | None = None
    needs: list[JsonObject] = []
    needs_within: int | None = None
    group: str | None = None
    parent_job_id: int | None = None
    workflow_id: int | None = None
    is_held: bool = False
    hold_reason: str | None = None
    not_before: datetime | None = None
    retry_at: datetime | None = None
    percent: float | None = None
    note: str | None = None
    message: str | None = None
    command_line: str | None = None
    command: list[str] = []
    created_by: str | None = None
    created: datetime | None = None
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    last_status_change: datetime | None = None
    last_modified: datetime | None = None
    awaits: list[AwaitedInput] = []
    inputs: list[Value] = []
    outputs: list[Value] = []
    job_exes: list[Execution] = []

    @property
    def tries(self) -> int:
        """The tries that count against `max_tries`: without those that ended through no fault of the job."""
        return max(0, self.num_exes - self.forgiven)

    @property
    def is_final(self) -> bool:
        """Whether it has ended; only an operator's requeue changes it then."""
        return self.status in FINAL

    @property
    def latest(self) -> Execution | None:
        """The newest execution, if it ever ran; of a gang its member 0."""
        return self.job_exes[0] if self.job_exes else None

    @property
    def decisive(self) -> Execution | None:
        """The newest execution; of a gang that failed the one with its error."""
        latest = self.latest
        if latest is None or self.error is None:
            return latest
        newest = [execution for execution in self.job_exes if execution.attempt == latest.attempt]
        return next(
            (execution for execution in newest if execution.error and execution.error.name == self.error.name), latest
        )

    @property
    def exit_code(self) -> int:
        """The exit status for a command that runs this job: 0 if it completed, else the program's own code, else 1."""
        if self.status == "COMPLETED":
            return 0
        code = self.decisive.exit_code if self.decisive else None
        return code if code and 0 < code < 256 else 1  # noqa: PLR2004 - what an exit status can hold


class Node(Record):
    """One machine's worth of resources."""

    id: int
    name: str = ""
    hostname: str | None = None
    pool: str | None = None
    state: str = ""
    is_active: bool = True
    is_online: bool = False
    is_paused: bool = False
    is_draining: bool = False
    pause_reason: str | None = None
    degraded: str | None = None
    launch_failures: int = 0
    avoided_until: datetime | None = None
    clock_skew_s: float | None = None
    labels: dict[str, str] = {}


class JobType(Record):
    """A named, versioned template. `project` owns it; None is the installation, whose types are everybody's."""

    id: int
    name: str = ""
    version: str = ""
    title: str | None = None
    description: str | None = None
    category: str | None = None
    is_active: bool = True
    is_paused: bool = False
    project: str | None = None
    revision_num: int | None = None
    interface: JsonObject | None = None

    def input_type(self, name: str) -> str | None:
        """Return `property`, `file` or `files`; None if the interface has no such input."""
        entries = (self.interface or {}).get("input_data") or []
        return next((str(entry.get("type", "property")) for entry in entries if entry.get("name") == name), None)


class Event(Record):
    """One change of a job's status: when, who, which attempt, why."""

    id: int | None = None
    at: datetime | None = None
    event: str = ""
    to: str | None = None
    attempt: int | None = None
    actor: str | None = None
    reason: str | None = None


class Operation(Record):
    """A bulk action under way."""

    id: int
    kind: str = ""
    status: str = ""
    matched: int | None = None
    done: int | None = None
    skipped: int | None = None
    message: str | None = None
    reason: str | None = None
    created: datetime | None = None
    created_by: str = ""
    ended: datetime | None = None
    filters: JsonObject = {}


class AuditEntry(Record):
    """One act of a person: who did what to what, why, and what it changed."""

    id: int
    at: datetime
    actor: str = ""
    action: str = ""
    subject: str = ""
    reason: str | None = None
    detail: JsonObject = {}


class LogPiece(Record):
    """A piece of what a program wrote. `offset` is where it begins in its phase's stream, in bytes."""

    phase: str = "job"
    stream: str = "stdout"
    offset: int = 0
    text: str = ""
    base64: str | None = Field(default=None, repr=False)

    @property
    def data(self) -> bytes:
        """The very bytes that the program wrote."""
        return self.text.encode() if self.base64 is None else b64decode(self.base64)


class LogHit(Record):
    """A line that holds what was looked for: its number from 0, the byte at which it begins, and its text, cut at 1,000 letters.

    Of a search over the outputs of a job it says in which execution the line is.
    """

    line: int
    offset: int
    text: str
    execution_id: int | None = None
    attempt: int | None = None
    member: int | None = None


class Token(Record):
    """A token. Only the answer that makes it has its `secret`."""

    id: int
    name: str = ""
    kind: str = "user"
    role: str | None = None
    project: str | None = None
    is_valid: bool = True
    nodes: list[str] | None = None
    pools: list[str] | None = None
    projects: list[str] | None = None
    expires: datetime | None = None
    last_used: datetime | None = None
    secret: str | None = Field(default=None, alias="token", repr=False)
