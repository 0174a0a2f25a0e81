"""Requests and answers about files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema import times
from api.http.schema.answers import ListOf, NamedReference, Reference
from api.http.schema.fields import Bound, Digits, Query, QueryId, Word
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


class GeoJsonDocument(TypedDict):
    """A geometry of RFC 7946, or a feature or a collection of them."""

    type: str


class PointView(TypedDict):
    """A point as GeoJSON."""

    type: Literal["Point"]
    coordinates: list[float]


class FileView(TypedDict):
    """A file. The fields from `is_operational` to `job_exe` are of outputs; they are null for files that were uploaded."""

    id: int
    uuid: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    project: str
    workspace: NamedReference
    file_name: str
    media_type: str
    file_size: int
    sha256: str
    data_type: Annotated[list[str], Field(description="always empty; older clients read it")]
    is_deleted: bool
    url: Annotated[str, Field(description="absolute address of the content")]
    created: datetime
    deleted: datetime | None
    data_started: Annotated[
        datetime | None, Field(description="when what the file is about began, as its program said")
    ]
    data_ended: datetime | None
    geometry: Annotated[GeoJsonDocument | None, Field(description="where that is, as its program said")]
    center_point: Annotated[PointView | None, Field(description="the middle of the box around the geometry")]
    is_operational: Annotated[bool | None, Field(description="of the job type that made it")]
    is_published: bool
    published: datetime | None
    unpublished: Annotated[datetime | None, Field(description="when it was taken back: with its deletion")]
    job_type: Reference | None
    job: Reference | None
    job_exe: Reference | None
    output: str | None
    meta_data: Mapping[str, object]
    last_modified: datetime


class FileList(ListOf):
    """A page of files."""

    results: list[FileView]
