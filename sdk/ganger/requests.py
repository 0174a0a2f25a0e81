"""The request for a job, as a record; `document` is the body that is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from ganger.documents import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job to submit: a `command` of its own, or a `job_type` with its `inputs`. None takes what the type says.

    `command` is a list of words, not a line for a shell: `["sh", "-c", "…"]` is one. `${name}` in a word stands for an input.
    `runner` (command, python, container) with `options` is for a command of its own; `image` is short for a container.
    `inputs` has a value, a file id or a list of file ids per name. Memory and disk are MiB, times seconds; a smaller
    `priority` number goes first; `constraints` are `{"label", "op", "value"}`, `preferences` the same with a `weight`. The same `idempotency_key` sent again
    is answered with the job that was made the first time; the client makes one where there is none. With `together` the job has
    `count` members, which start at once or not at all; each finds its number in `$GANGER_MEMBER`.
    `needs` are jobs whose good end it waits for, by id, or needs in full (`{"job": 41, "after": "ANY"}`, `{"group": "shards"}`);
    within `submit_many`, `"@0"` is the first job and `"=name"` the one with that `key`, and jobs with the same `group` are one.
    A job that submits others names itself as their `parent_job_id`: they are cancelled with it. `awaits` names inputs that are uploaded
    before the job is queued (`client.uploads`), alone or as `{"name", "max_size", "sha256", "media_type", "file_name", "optional"}`.
    """

    command: Sequence[str] | None = None
    job_type: str | None = None
    version: str | None = None
    inputs: Mapping[str, object] | None = None
    data: Mapping[str, object] | None = None
    name: str | None = None
    project: str | None = None
    priority: int | None = None
    timeout: int | None = None
    pre_timeout: int | None = None
    post_timeout: int | None = None
    max_tries: int | None = None
    cpus_required: float | None = None
    mem_required: float | None = None
    disk_out_required: float | None = None
    resources: Mapping[str, float] | None = None
    pool: str | None = None
    constraints: Sequence[Mapping[str, object]] | None = None
    preferences: Sequence[Mapping[str, object]] | None = None
    apart: str | None = None
    spread: str | None = None
    preemptible: bool | None = None
    runner: str | None = None
    options: Mapping[str, object] | None = None
    image: str | None = None
    secrets: Sequence[str] | None = None
    on_oom: Mapping[str, float] | None = None
    retry_on: Sequence[str] | None = None
    max_processes: int | None = None
    max_open_files: int | None = None
    grace: int | None = None
    environment: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    not_before: datetime | None = None
    held: bool | None = None
    hold_reason: str | None = None
    count: int | None = None
    together: bool | None = None
    needs: Sequence[int | str | Mapping[str, object]] | None = None
    needs_within: int | None = None
    key: str | None = None
    group: str | None = None
    parent_job_id: int | None = None
    awaits: Sequence[str | Mapping[str, object]] | None = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        """Refuse a text where a list belongs: taken letter by letter it would be a job that nobody meant."""
        for name in ("command", "secrets", "constraints", "preferences", "needs", "awaits"):
            refuse_text(name, getattr(self, name))

    def document(self) -> JsonObject:
        """Return the JSON body; what is None is left out."""
        body = {
            field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name) is not None
        }
        body.pop("version", None)
        if self.command is not None:
            body["command"] = list(self.command)
        if self.job_type is not None:
            body["job_type"] = {"name": self.job_type, **({"version": self.version} if self.version else {})}
        if self.not_before is not None:
            body["not_before"] = self.not_before.isoformat()
        return body


def refuse_text(name: str, value: object) -> None:
    """Raise TypeError for a text that stands in place of a list."""
    if isinstance(value, str | bytes):
        if name == "command":
            example = '["echo", "hi"], and for a shell ["sh", "-c", "echo hi"]'
            raise TypeError(f"command is a list of words, not a text: {example}")
        raise TypeError(f"{name} is a list, not a text")
