"""Requests and answers about data sets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import Body, QueryBool, QueryId

Finite = Annotated[float, Field(allow_inf_nan=False)]
Triple = Annotated[list[Finite], Field(min_length=3, max_length=3)]
Counts = Annotated[list[Annotated[int, Field(ge=1, le=100_000_000)]], Field(min_length=3, max_length=3)]
ColumnTitle = Annotated[str, Field(min_length=1, max_length=200)]
Titles = Annotated[list[ColumnTitle], Field(max_length=500)]
Text = Annotated[str, Field(max_length=500)]
Comment = Annotated[str, Field(max_length=250)]
DataType = Literal[
    "Boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64",
    "Utf8", "Date32", "Timestamp",
]  # fmt: skip


class DataSetsQuery(OrderedQuery):
    """A list of data sets. Repeat a parameter for alternatives."""

    id: list[QueryId] = []
    name: list[str] = []
    project: list[str] = []
    is_deleted: QueryBool = False


class VersionsQuery(OrderedQuery):
    """A list of versions."""


class GridTurnBody(Body):
    """A clockwise rotation about an axis, in degrees."""

    axis: Literal["x", "y", "z"]
    angle: Finite


class GridBody(Body):
    """A regular grid: numbers of blocks, their sizes and the origin, each for x, y and z, and rotations in their order."""

    blocks: Counts
    size: Triple
    origin: Triple = [0.0, 0.0, 0.0]
    rotation: Annotated[list[GridTurnBody], Field(max_length=3)] = []


class DataSetBody(Body):
    """A new block model."""

    name: Annotated[str, Field(max_length=200)]
    project: str | None = None
    grid: GridBody
    description: Text | None = None
    comment: Comment = ""


class DataColumnBody(Body):
    """A column to add."""

    title: ColumnTitle
    data_type: DataType
    unit_id: ColumnTitle | None = None


class ColumnTitleBody(Body):
    """Another title for a column."""

    title: ColumnTitle
    new_title: ColumnTitle


class DataSetUpdateBody(Body):
    """An update: columns that a file brings (`new`, `update`), and changes that need none. `merge` keeps blocks that the file leaves out."""

    new: Annotated[list[DataColumnBody], Field(max_length=500)] = []
    update: Titles = []
    delete: Titles = []
    rename: Annotated[list[ColumnTitleBody], Field(max_length=500)] = []
    merge: bool = True
    format: Literal["csv", "parquet"] = "csv"
    comment: Comment = ""


class BoundsBody(Body):
    """Bounds on one axis, both included."""

    min: Finite
    max: Finite


class DataSetQueryBody(Body):
    """A query of one version, the newest if `version` is left out: columns by title (`*` is all) within a box of indices or centres."""

    columns: Titles = ["*"]
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    box: (
        Annotated[
            dict[Literal["i_minmax", "j_minmax", "k_minmax", "x_minmax", "y_minmax", "z_minmax"], BoundsBody],
            Field(min_length=3, max_length=3),
        ]
        | None
    ) = None
    centres: Annotated[bool, Field(description="rows by x, y, z, not by i, j, k")] = False
    format: Literal["csv", "parquet"] = "csv"
    null_rows: Annotated[bool, Field(description="also blocks whose values are all null")] = False


class DataSetView(TypedDict):
    """A data set. `latest` is the number of its newest version, 0 before there is one."""

    id: int
    uuid: UUID
    project: str
    kind: str
    name: str
    description: str | None
    grid: dict[str, Any]
    latest: int
    created_by: str
    modified_by: str
    created: datetime
    last_modified: datetime
    deleted: datetime | None


class DataSetList(ListOf):
    """A page of data sets."""

    results: list[DataSetView]


class DataColumnView(TypedDict):
    """A column of a version."""

    col_id: str
    title: str
    data_type: str
    unit_id: str | None
    file_id: int | None


class DataSetVersionView(TypedDict):
    """A version. `bounds` are those of the blocks whose values it changed."""

    number: int
    uuid: UUID
    parent: int
    base: int | None
    job_id: int
    comment: str
    columns: list[DataColumnView]
    bounds: dict[str, Any] | None
    created_by: str
    created: datetime


class DataSetVersionList(ListOf):
    """A page of versions."""

    results: list[DataSetVersionView]


class DataSetJobView(TypedDict):
    """A job of a data set. With `awaits_file` its input `data` is to be uploaded before it is told that it may begin."""

    job_id: int
    job_uuid: UUID
    version_uuid: UUID
    awaits_file: bool


class NewDataSetView(TypedDict):
    """A new data set, and the job that makes its first version."""

    data_set: DataSetView
    job: DataSetJobView
