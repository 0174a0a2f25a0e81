"""Requests and answers about files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema import times
from api.http.schema.answers import ListOf, Reference
from api.http.schema.fields import Bound, Digits, Query, QueryId, Uuid, Word
from scheduler.identifiers import Attempt, ExecutionId

FileName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
MediaType = Annotated[str, StringConstraints(min_length=3, max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
OUTPUT_NAME = r"^[A-Za-z0-9_][A-Za-z0-9 _-]{0,127}$"


class FilesQuery(OrderedQuery):
    """A list of files. Repeat a parameter for alternatives; times are of `last_modified`."""

    started: Bound | None = Field(default=None, description=times.SINCE)
    ended: Bound | None = Field(default=None, description=times.UNTIL)
    file_id: list[QueryId] = Field(default=[], description="these files")
    file_name: list[str] = Field(default=[], description="of these names")
    media_type: list[str] = Field(default=[], description="of these media types")
    job_id: list[QueryId] = Field(default=[], description="outputs of these jobs")
    workspace: list[str] = Field(default=[], description="in workspaces of these names")
    project: list[str] = Field(default=[], description="of these projects")
    sha256: list[Sha256] = Field(
        default=[], description="with this content: what is there already need not be sent again"
    )


class UploadQuery(Query):
    """Name, kind and place of a new file. A multipart upload brings name and media type itself."""

    file_name: Annotated[FileName | None, Field(description="its name; a multipart upload brings one itself")] = None
    media_type: Annotated[
        MediaType | None, Field(description="the kind of its content; default application/octet-stream")
    ] = None
    project: Annotated[
        Word | None, Field(description="whose file it is; default: the token's project, else default")
    ] = None
    workspace_id: Annotated[
        Annotated[int, Field(ge=1, le=2**63 - 1), Digits] | None,
        Field(description="where it is stored; default: the usual place"),
    ] = None
    sha256: Annotated[
        Sha256 | None, Field(description="of the content, in lower case; what arrives with another is refused")
    ] = None
    path: Annotated[
        str | None,
        Field(max_length=1_000, description="of what lies in the workspace already, to be registered; then no body"),
    ] = None


class OutputQuery(Query):
    """Which output of which attempt a node brings."""

    execution_id: Annotated[ExecutionId, Field(ge=1, le=2**63 - 1), Digits]
    attempt: Annotated[Attempt, Field(ge=1, le=2**31 - 1), Digits]
    token: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    output: Annotated[str, StringConstraints(pattern=OUTPUT_NAME)]
    file_name: FileName
    media_type: MediaType = "application/octet-stream"
    sha256: Sha256 | None = None


class BulkQuery(Query):
    """How many of a body's bytes describe the files whose contents follow."""

    described: Annotated[int, Field(ge=2, le=1024 * 1024), Digits]


class FileView(TypedDict):
    """A file."""

    id: int
    uuid: Uuid
    project: str
    workspace: Mapping[str, object]
    file_name: str
    media_type: str
    file_size: int
    sha256: str
    data_type: Annotated[list[str], Field(description="always empty; older clients read it")]
    is_deleted: bool
    is_published: bool
    published: datetime | None
    url: str
    job: Reference | None
    job_exe: Reference | None
    output: str | None
    created: datetime
    deleted: datetime | None
    meta_data: Mapping[str, object]
    last_modified: datetime


class FileList(ListOf):
    """A page of files."""

    results: list[FileView]
