"""The bodies of requests. Fields that nobody here knows are passed over: clients of tomorrow send more."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False)]
DataType = Literal[
    "Boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64",
    "Utf8", "Date32", "Timestamp",
]  # fmt: skip
Title = Annotated[str, Field(min_length=1, max_length=200)]
Comment = Annotated[str, Field(max_length=250)]
Separator = Annotated[str, Field(min_length=1, max_length=1)]
MANY = 1_000


class RequestPart(BaseModel):
    """A part of a body."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class PointBody(RequestPart):
    """A point, or the size of a block."""

    x: Number
    y: Number
    z: Number


class BlockCountsBody(RequestPart):
    """The numbers of blocks by axis."""

    nx: int
    ny: int
    nz: int


class SizeBody(RequestPart):
    """The size of a model. Other kinds than regular ones are known by name only, so that the refusal can say so."""

    model_type: str
    n_blocks: BlockCountsBody | None = None
    block_size: PointBody | None = None


class TurnBody(RequestPart):
    """A clockwise rotation about an axis, in degrees."""

    axis: Literal["x", "y", "z"]
    angle: Annotated[float, Field(gt=-360, lt=360)]


class CreateBody(RequestPart):
    """A new block model."""

    name: Annotated[str, Field(max_length=1_000)]
    description: Annotated[str, Field(max_length=500)] | None = None
    model_origin: PointBody
    block_rotation: Annotated[list[TurnBody], Field(max_length=3)]
    size_options: SizeBody
    size_unit_id: Title | None = None
    coordinate_reference_system: Annotated[str, Field(max_length=10_000)] | None = None
    object_path: Annotated[str, Field(max_length=1_000)] | None = None
    comment: Comment | None = None
    fill_subblocks: bool | None = None


class DescribeBody(RequestPart):
    """Other words for a block model: what is left out stays, null takes it away."""

    name: Annotated[str, Field(max_length=1_000)] | None = None
    description: Annotated[str, Field(max_length=500)] | None = None
    size_unit_id: Title | None = None
    coordinate_reference_system: Annotated[str, Field(max_length=10_000)] | None = None
    fill_subblocks: bool | None = None


class NewColumnBody(RequestPart):
    """A column to add."""

    title: Title
    data_type: DataType
    unit_id: Title | None = None
    tags: dict[str, Any] | None = None
    group: str | None = None


class RenameBody(RequestPart):
    """Another title for a column."""

    title: Title
    new_title: Title


class MetadataValuesBody(RequestPart):
    """What is said anew of a column: only what is there changes."""

    title: Title | None = None
    unit_id: Title | None = None
    tags: dict[str, Any] | None = None
    group: str | None = None


class MetadataBody(RequestPart):
    """A column and what is said anew of it."""

    title: Title
    values: MetadataValuesBody


class ColumnsBody(RequestPart):
    """What an update does to columns."""

    new: Annotated[list[NewColumnBody], Field(max_length=MANY)] = []
    update: Annotated[list[Title], Field(max_length=MANY)] = []
    delete: Annotated[list[Title], Field(max_length=MANY)] = []
    rename: Annotated[list[RenameBody], Field(max_length=MANY)] = []
    update_metadata: Annotated[list[MetadataBody], Field(max_length=MANY)] | None = None


class NameMappingBody(RequestPart):
    """A column of the file under the title that it has in the model, in either of two spellings."""

    csv_name: Title | None = None
    new_title: Title | None = None
    file_column_name: Title | None = None
    column_title: Title | None = None


class InputBody(RequestPart):
    """How the file of an update is written. Clients leave out what is their default, the format too."""

    file_format: Literal["parquet", "csv", "datamine"] | None = None
    delimiter: Separator | None = None
    decimal_char: Separator | None = None
    quote_char: Separator | None = None
    skip_rows: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    skip_rows_after_headers: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    column_name_mapping: Annotated[list[NameMappingBody], Field(max_length=MANY)] | None = None

    @property
    def meant_format(self) -> str:
        """The format that is said, or else CSV where something is said that only CSV has."""
        only_csv = (self.delimiter, self.decimal_char, self.quote_char, self.skip_rows, self.skip_rows_after_headers)
        return self.file_format or ("parquet" if all(one is None for one in only_csv) else "csv")


MissingPolicy = Literal["INHERIT", "USE_PREVIOUS", "REJECT"]
GroupTitle = Annotated[str, Field(min_length=1, max_length=100)]
GroupPath = Annotated[str, Field(max_length=2_000)]


class NewGroupBody(RequestPart):
    """A group of columns to add, within another one by its path."""

    title: GroupTitle
    parent_group: GroupPath | None = None
    missing_column_policy: MissingPolicy | None = None
    is_hidden: bool = False
    tags: dict[str, Any] | None = None


class GroupValuesBody(RequestPart):
    """What is said anew of a group: null is nothing, and an empty path takes it out of its own."""

    title: GroupTitle | None = None
    parent_group: GroupPath | None = None
    missing_column_policy: MissingPolicy | None = None
    is_hidden: bool | None = None
    tags: dict[str, Any] | None = None


class GroupMetadataBody(RequestPart):
    """A group by its path, and what is said anew of it."""

    title: GroupPath
    values: GroupValuesBody


class GroupsBody(RequestPart):
    """What an update does to groups."""

    new: Annotated[list[NewGroupBody], Field(max_length=MANY)] = []
    update_metadata: Annotated[list[GroupMetadataBody], Field(max_length=MANY)] = []
    delete: Annotated[list[GroupPath], Field(max_length=MANY)] = []


class UpdateBody(RequestPart):
    """An update."""

    columns: ColumnsBody | None = None
    update_type: Literal["merge", "replace"] = "merge"
    comment: Comment | None = None
    geometry_change: bool | None = None
    input_options: InputBody | None = None
    groups: GroupsBody | None = None
    group_missing_column_override: dict[GroupPath, Literal["USE_PREVIOUS"]] | None = None
    qualified_title_separator: Separator | None = None


class RangeBody(RequestPart):
    """Bounds, both included."""

    min: float
    max: float


class OutputBody(RequestPart):
    """How the file of a query is written."""

    file_format: Literal["parquet", "csv"] | None = None
    column_headers: Literal["id", "name"] | None = None
    exclude_null_rows: bool | None = None
    delimiter: Separator | None = None

    @property
    def meant_format(self) -> str:
        """The format that is said, or else CSV where a delimiter is said."""
        return self.file_format or ("parquet" if self.delimiter is None else "csv")


class DeltaBody(RequestPart):
    """A question for changes after a version: of these columns, by their ids, within a box."""

    columns: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=MANY)]
    bbox: dict[str, RangeBody]
    end_version_uuid: Annotated[UUID, Field(strict=False)] | None = None


class QueryBody(RequestPart):
    """A query."""

    columns: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=MANY)]
    bbox: dict[str, RangeBody] | None = None
    version_uuid: Annotated[UUID, Field(strict=False)] | None = None
    geometry_columns: Literal["indices", "coordinates"] | None = None
    output_options: OutputBody | None = None
    qualified_title_separator: Separator | None = None
