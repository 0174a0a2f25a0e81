"""The documents of block models: grids, columns of versions, and what is asked to change, by their keys."""

from __future__ import annotations

from typing import Literal, NotRequired, Required, TypeAlias, TypedDict

from scheduler.documents import Document
from scheduler.rules.data_sets.groups import GroupChangesDocument

Axis: TypeAlias = Literal["x", "y", "z"]


class TurnDocument(TypedDict):
    """One rotation of a grid: clockwise about an axis, in degrees."""

    axis: Axis
    angle: float


class GridDocument(TypedDict):
    """A regular grid: numbers of blocks, their sizes and the origin by axis, and rotations in their order."""

    blocks: list[int]
    size: list[float]
    origin: list[float]
    rotation: list[TurnDocument]


class ColumnDocument(TypedDict, total=False):
    """A column of a version; `file_id` is where its values are. The title of one in a group begins with the group's path."""

    col_id: Required[str]
    title: Required[str]
    data_type: Required[str]
    unit_id: str | None
    tags: Document | None
    group_uuid: str | None
    file_id: int


class NewColumnDocument(TypedDict, total=False):
    """A column that an update adds, in a group by its path. Its id is given when the update is asked for."""

    col_id: Required[str]
    title: Required[str]
    data_type: Required[str]
    unit_id: str | None
    tags: Document | None
    group: str


class RenameDocument(TypedDict):
    """A column that gets another title."""

    title: str
    new_title: str


class MetadataDocument(TypedDict, total=False):
    """What is said anew of a column: only what is there changes, None takes a unit away, and an empty path a group."""

    title: Required[str]
    new_title: str
    unit_id: str | None
    tags: Document
    group: str


class ChangesDocument(TypedDict):
    """What an update does to columns. `update` and `delete` are titles or ids of columns that are there."""

    new: list[NewColumnDocument]
    update: list[str]
    delete: list[str]
    rename: list[RenameDocument]
    metadata: list[MetadataDocument]
    groups: NotRequired[GroupChangesDocument]


class RangeDocument(TypedDict):
    """Bounds on one axis, both included."""

    min: float
    max: float


class UpdateDocument(TypedDict):
    """An update as it is kept with its job: changes, whether rows are merged, how the file is written, and the comment."""

    changes: ChangesDocument
    merge: bool
    input: Document
    comment: str


class QueryDocument(TypedDict):
    """A query as it is kept with its job: columns in their order, each with the name that its values get in the file."""

    columns: list[ColumnDocument]
    names: list[str]
    bbox: dict[str, RangeDocument] | None
    geometry: str
    format: str
    delimiter: str
    exclude_null_rows: bool
    file_name: str
