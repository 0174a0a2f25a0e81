"""The way a program is run, beside its command: the runner, the limits, and the reaction to a lack of memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, WithJsonSchema, model_validator
from typing_extensions import TypedDict

from api.http.jobs import placement_schema as placing
from api.http.jobs.placement_schema import PlacementView, PlacingFields
from api.http.schema.fields import LEFT_OUT, Amount, DocumentBody, Word, stored, units
from scheduler.documents import Document
from scheduler.errors import GangerError, renamed
from scheduler.rules.job_type.definition import Definition

Factor = Annotated[
    Amount,
    Field(ge=1_001, le=100_000),
    WithJsonSchema({"type": "number", "minimum": 1.001, "maximum": 100, "multipleOf": 0.001}),
]
"""How much more; a decimal from 1.001 to 100 in JSON."""


class OnOom(DocumentBody):
    """After a try that ran out of memory the next asks for `mem_factor` times as much, at most `mem_max` MiB."""

    mem_factor: Factor
    mem_max: Amount | None = None

    def document(self) -> Document:
        """Return what is stored."""
        return self.model_dump()


class ProgramFields(PlacingFields):
    """The way a program of a job type is run; a job may say otherwise for itself, but `runner`, `options` and `image` only where it has a command of its own."""

    runner: Literal["command", "python", "container"] = LEFT_OUT
    options: Annotated[dict[str, Any], Field(max_length=50)] = LEFT_OUT
    image: Annotated[str, Field(max_length=500, description="short for runner container and this option")] = LEFT_OUT
    max_processes: Annotated[int, Field(ge=2, le=4_000_000)] | None = None
    max_open_files: Annotated[int, Field(ge=16, le=4_000_000)] | None = None
    grace: Annotated[int, Field(ge=0, le=3_600, description="seconds between SIGTERM and the kill")] | None = None
    on_oom: OnOom | None = None
    retry_on: Annotated[
        list[Word] | None,
        Field(
            max_length=50,
            description="categories and names of errors after which another try is made; null is what each error says:"
            " SYSTEM errors are retried, and those of the program and its data are not",
        ),
    ] = None
    secrets: Annotated[list[Word], Field(max_length=50, description="names of secrets of the project")] = LEFT_OUT

    @model_validator(mode="after")
    def _image_is_for_containers(self) -> ProgramFields:
        if self.image is not None and self.runner not in {None, "container"}:
            raise ValueError("an image is for the runner container")
        return self


class OnOomView(TypedDict):
    """What is asked for after a try that ran out of memory."""

    mem_factor: float
    mem_max: float | None


class _RunningView(TypedDict):
    runner: str
    options: Annotated[Mapping[str, JsonValue], Field(description="by name, as the runner takes them")]
    max_processes: int | None
    max_open_files: int | None
    grace: int | None
    on_oom: OnOomView | None
    retry_on: list[str] | None
    secrets: list[str]


class ProgramView(_RunningView, PlacementView):
    """How a program is run, in the answers that show it."""


RENAMED = {
    "cpus_required": "cpus", "mem_required": "mem", "disk_out_required": "disk_out", "resources": "custom",
    "timeout": "timeout_s", "needs_within": "needs_within_s", "pre_timeout": "pre_timeout_s", "post_timeout": "post_timeout_s", "grace": "grace_s",
    "max_processes": "pids", "max_open_files": "nofile",
}  # fmt: skip
"""The fields of jobs and job types that the scheduler has under another name: units stand in it, and Linux's words."""


def document(body: ProgramFields, names: Iterable[str], renamed: Mapping[str, str] = RENAMED) -> Document:
    """Return these fields of a body as they are stored; `image` becomes the option that it is short for."""
    said: Document = stored(body, names, renamed)
    image_given = said.pop("image", None)
    if image_given is not None:
        said |= {"runner": "container", "options": {**(body.options or {}), "image": image_given}}
    return said


def as_written(error: GangerError, bodies: Mapping[str, ProgramFields]) -> GangerError:
    """Return an error by the fields that were written; `bodies` are by where they stand. An image is short for an option."""
    return renamed(
        error, {f"{place}options.image": f"{place}image" for place, body in bodies.items() if body.image is not None}
    )


def shown(definition: Definition) -> ProgramView:
    """Return how a program is run, as the API shows it."""
    wish = definition.on_oom
    return {
        "runner": definition.runner,
        "options": dict(definition.options),
        "max_processes": definition.pids,
        "max_open_files": definition.nofile,
        "grace": definition.grace_s,
        "on_oom": None if wish is None else _on_oom(wish),
        "retry_on": None if definition.retry_on is None else list(definition.retry_on),
        "secrets": list(definition.secrets),
        **placing.shown(definition),
    }


def _on_oom(wish: Mapping[str, int | None]) -> OnOomView:
    most = wish["mem_max"]
    return {"mem_factor": units(wish["mem_factor"] or 0), "mem_max": None if most is None else units(most)}


def image(definition: Definition) -> str | None:
    """Return the image that a program is run from, None where it names none."""
    named = definition.options.get("image")
    return named if isinstance(named, str) else None
