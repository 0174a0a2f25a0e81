"""The bodies of requests for reports."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.dialects.blockmodel import boxes
from api.dialects.blockmodel.bodies import Number, RangeBody, RequestPart
from scheduler.data_sets.reporting import ReportWords
from scheduler.errors import InvalidInput
from scheduler.rules.data_sets.reports import MOST_CATEGORIES, MOST_COLUMNS, MOST_CUTOFFS, ReportDocument

ColumnId = Annotated[UUID, Field(strict=False)]
Label = Annotated[str, Field(max_length=120)]
UnitId = Annotated[str, Field(max_length=200)]
NullPolicy = Literal["ZERO", "IGNORE_BLOCK", "IGNORE_VALUE", "MARK_AS_INVALID"]
NegativePolicy = Literal["USE", "ZERO", "IGNORE_BLOCK", "IGNORE_VALUE", "MARK_AS_INVALID"]

POLICY = "IGNORE_BLOCK"
"""What becomes of null and negative values where nothing is said."""


class ReportColumnBody(RequestPart):
    """A column that a report tells of."""

    col_id: ColumnId
    label: Label
    aggregation: Literal["SUM", "MASS_AVERAGE"]
    output_unit_id: UnitId


class ReportCategoryBody(RequestPart):
    """A column by whose values a report is divided."""

    col_id: ColumnId
    label: Label
    values: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=100)] | None = None


class SpecificationBody(RequestPart):
    """What a report tells: a new one, or all of one that changes."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    description: Annotated[str, Field(max_length=1_000)] | None = None
    columns: Annotated[list[ReportColumnBody], Field(max_length=MOST_COLUMNS)]
    categories: Annotated[list[ReportCategoryBody], Field(max_length=MOST_CATEGORIES)] | None = None
    cutoff_col_id: ColumnId | None = None
    cutoff_values: Annotated[list[Number], Field(min_length=1, max_length=MOST_CUTOFFS)] | None = None
    density_col_id: ColumnId | None = None
    density_value: Annotated[Number, Field(gt=0)] | None = None
    density_unit_id: UnitId | None = None
    mass_unit_id: UnitId
    bbox: dict[str, RangeBody] | None = None
    mesh_filter: dict[str, Any] | None = None
    autorun: bool = True
    null_values_policy: NullPolicy | None = None
    negative_values_policy: NegativePolicy | None = None

    def words(self, before: ReportDocument | None = None) -> ReportWords:
        """Return it as it is kept; policies that are not said stay as they were. Raises InvalidInput."""
        if self.mesh_filter is not None:
            raise InvalidInput("no meshes are kept here; say a bbox", field="mesh_filter")
        nulls = self.null_values_policy or (before["null_values_policy"] if before else POLICY)
        negatives = self.negative_values_policy or (before["negative_values_policy"] if before else POLICY)
        asked: ReportDocument = {
            "columns": [
                {
                    "col_id": str(one.col_id),
                    "label": one.label,
                    "aggregation": one.aggregation,
                    "output_unit_id": one.output_unit_id,
                }
                for one in self.columns
            ],
            "categories": None
            if self.categories is None
            else [{"col_id": str(one.col_id), "label": one.label, "values": one.values} for one in self.categories],
            "cutoff_col_id": None if self.cutoff_col_id is None else str(self.cutoff_col_id),
            "cutoff_values": self.cutoff_values,
            "density_col_id": None if self.density_col_id is None else str(self.density_col_id),
            "density_value": self.density_value,
            "density_unit_id": self.density_unit_id,
            "mass_unit_id": self.mass_unit_id,
            "bbox": boxes.bbox_of(self.bbox),
            "null_values_policy": nulls,
            "negative_values_policy": negatives,
        }
        return ReportWords(self.name, self.description, asked, self.autorun)


class RunReportBody(RequestPart):
    """Which version a report is run on."""

    version_uuid: ColumnId | None = None


class ComparisonBody(RequestPart):
    """The versions whose results are compared."""

    from_version_uuid: ColumnId | None = None
    to_version_uuid: ColumnId | None = None
