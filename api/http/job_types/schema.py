"""Requests about job types: a template in full, or changes to one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, StringConstraints

from api.http.jobs.program_schema import RENAMED, ProgramFields
from api.http.jobs.program_schema import document as program_document
from api.http.jobs.schema import Command, Environment
from api.http.paging import OrderedQuery, PageQuery
from api.http.schema.fields import (
    LEFT_OUT,
    NO_PLAIN,
    Amount,
    Body,
    Bound,
    Cpus,
    DocumentBody,
    Priority,
    Prose,
    Query,
    QueryBool,
    QueryId,
    Reason,
    Timeout,
    Title,
    Tries,
    TypeWord,
    Word,
    custom_only,
)
from scheduler.documents import Document
from scheduler.store.admin.job_types import TypeChanges

EntryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9 _-]{0,127}$")]
MediaType = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\s/]+/[^\s/]+$")]
Kind = Literal["property", "file", "files"]
ErrorName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_FIELDS = {"cpus": "cpus_required", "mem": "mem_required", "disk": "disk_out_const_required"}
TypeCustom = Annotated[
    dict[Word, Amount],
    Field(max_length=32, json_schema_extra=NO_PLAIN),
    AfterValidator(lambda given: custom_only(given, _FIELDS)),
]
ExitCode = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")]


class InputDeclaration(Body):
    """An input: a property by its JSON Schema, a file, or files of certain media types."""

    name: EntryName
    type: Kind = "property"
    required: bool = True
    media_types: Annotated[list[MediaType], Field(max_length=50)] | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    default: Any = None


class OutputDeclaration(Body):
    """An output: files found by a glob beneath the output directory, or a property by its JSON Schema."""

    name: EntryName
    type: Kind = "file"
    required: bool = True
    media_type: MediaType | None = None
    glob: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class InterfaceBody(DocumentBody):
    """The inputs and outputs of a type."""

    version: Literal["1.0"] = "1.0"
    input_data: Annotated[list[InputDeclaration], Field(max_length=1_000)] = []
    output_data: Annotated[list[OutputDeclaration], Field(max_length=1_000)] = []

    def document(self) -> Document:
        """Return what is stored."""
        return self.model_dump(by_alias=True)


class ErrorMapping(DocumentBody):
    """Which error an exit code of the program means."""

    version: Literal["1.0"] = "1.0"
    exit_codes: Annotated[dict[ExitCode, ErrorName], Field(max_length=255)] = {}

    def document(self) -> Document:
        """Return what is stored."""
        return dict(self.exit_codes)


class JobTypeChange(ProgramFields):
    """Changes to a job type; a field that is left out stays as it is. A null takes a limit or a text away.

    Changing what a job would see (the command, interface, requirements, limits, environment, errors) makes a revision.
    """

    title: Title = LEFT_OUT
    description: Prose = LEFT_OUT
    category: Title | None = None
    author_name: Title | None = None
    author_url: Title | None = None
    icon_code: Title | None = None
    is_operational: bool = LEFT_OUT
    is_long_running: bool = LEFT_OUT
    is_active: bool = LEFT_OUT
    is_paused: bool = LEFT_OUT
    pause_reason: Reason | None = None
    max_scheduled: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    command: Command = LEFT_OUT
    shell: bool = LEFT_OUT
    pre_command: Command | None = None
    post_command: Command | None = None
    cleanup_command: Command | None = None
    environment: Environment = LEFT_OUT
    interface: InterfaceBody = LEFT_OUT
    priority: Priority = LEFT_OUT
    cpus_required: Cpus = LEFT_OUT
    mem_required: Amount = LEFT_OUT
    mem_mult_required: Amount = LEFT_OUT
    disk_out_const_required: Amount = LEFT_OUT
    disk_out_mult_required: Amount = LEFT_OUT
    resources: TypeCustom = LEFT_OUT
    timeout: Timeout | None = None
    pre_timeout: Timeout | None = None
    post_timeout: Timeout | None = None
    max_tries: Tries = LEFT_OUT
    error_mapping: ErrorMapping = LEFT_OUT


class JobTypeBody(JobTypeChange):
    """A new job type. What is left out takes the documented default."""

    name: TypeWord
    version: Word
    command: Command
    project: Annotated[
        Word | None,
        Field(description="the owner; null is the token's project, else the installation, whose types all use"),
    ] = None


class ReplaceQuery(Query):
    """What becomes of a type of this name and version that is there already."""

    replace: QueryBool = Field(
        default=False, description="let it be exactly this, what is left out taking its default; else 409"
    )


class JobTypesQuery(OrderedQuery):
    """A list of job types. Repeat a parameter for alternatives; times are of `last_modified`."""

    started: Bound | None = None
    ended: Bound | None = None
    id: list[QueryId] = []
    name: list[str] = []
    category: list[str] = []
    keyword: list[str] = Field(default=[], description="beginning of a name or title")
    is_active: QueryBool | None = None
    is_system: QueryBool | None = None
    is_operational: QueryBool | None = None
    is_paused: QueryBool | None = None
    project: list[str] = []


class OwnerQuery(Query):
    """Whose type of a name and version is meant."""

    project: Annotated[
        str | None, Field(description="the owner; by default the token's project, if it has one, else the installation")
    ] = None


class OwnedPageQuery(PageQuery, OwnerQuery):
    """A page of something of one type."""


class WindowQuery(PageQuery):
    """How far back to count, and which part of the list."""

    started: Bound = "PT3H"
    ended: Bound | None = None


FACTS = (
    "title", "description", "category", "author_name", "author_url", "icon_code", "is_operational", "is_long_running",
    "is_active", "is_paused", "pause_reason", "max_scheduled",
)  # fmt: skip


_RENAMED = RENAMED | {
    "mem_mult_required": "mem_mult", "disk_out_const_required": "disk_out", "disk_out_mult_required": "disk_out_mult",
    "error_mapping": "exit_codes",
}  # fmt: skip
_DEFINITION = tuple(name for name in JobTypeChange.model_fields if name not in FACTS)


def definition_part(body: JobTypeChange) -> Document:
    """Return the fields of a body that belong to a revision, under the names of the stored document."""
    return program_document(body, _DEFINITION, _RENAMED)


def facts_part(body: JobTypeChange) -> TypeChanges:
    """Return the fields of a body that belong to the type itself."""
    return cast("TypeChanges", {name: getattr(body, name) for name in FACTS if name in body.model_fields_set})
