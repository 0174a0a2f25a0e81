"""Specifications of reports and their results as the block model API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from api.dialects.blockmodel import view
from scheduler.rules.data_sets.documents import ColumnDocument
from scheduler.rules.data_sets.reports import ReportDocument
from scheduler.rules.data_sets.units import UNITS
from scheduler.store.data_sets.reports import ResultRow, SpecificationRow
from scheduler.store.data_sets.versions import VersionRow

MASS: Final = "Mass"

_WARNINGS: Final = {
    "INVALID_DENSITY_VALUE": "The density of a block was null, or not above 0; the density of the report was used, if it has one.",
    "NULL_CUTOFF_VALUE": "A value of the cut-off column was null.",
    "NEGATIVE_CUTOFF_VALUE": "A value of the cut-off column was negative.",
    "NULL_COLUMN_VALUE": "A value was null.",
    "NEGATIVE_COLUMN_VALUE": "A value was negative.",
    "INVALID_CATEGORY_VALUE": "A category was null or empty; its block was left out.",
    "LONG_CATEGORY_VALUE": "A category was too long; its block was left out.",
}


def specification(row: SpecificationRow, bm_uuid: UUID) -> dict[str, Any]:
    """Return a specification, with its last run."""
    return {
        **row.asked,
        "name": row.name,
        "description": row.description,
        "autorun": row.autorun,
        "bm_uuid": bm_uuid,
        "report_specification_uuid": row.uuid,
        "revision": row.revision,
        "mesh_filter": None,
        "last_result_created_at": row.last_result,
        "last_result_version_id": row.last_version,
    }


def units(rows: Sequence[SpecificationRow]) -> list[dict[str, Any]]:
    """Return the units that specifications name, those that are known."""
    named = {one["output_unit_id"] for row in rows for one in row.asked["columns"]}
    named |= {row.asked["mass_unit_id"] for row in rows} | {str(row.asked["density_unit_id"]) for row in rows}
    return [unit(one) for one in sorted(named & UNITS.keys())]


def unit(unit_id: str) -> dict[str, Any]:
    """Return a unit."""
    one = UNITS[unit_id]
    return {
        "unit_id": one.id,
        "symbol": one.symbol,
        "description": one.description,
        "unit_type": one.kind.value,
        "conversion_factor": one.factor,
    }


def summary(row: ResultRow, specification_uuid: UUID, version: VersionRow) -> dict[str, Any]:
    """Return when a result was made, and of which version."""
    return {
        "mesh_filter_used": None,
        "report_result_created_at": row.created,
        "report_result_uuid": row.uuid,
        "report_specification_uuid": specification_uuid,
        **_version(version),
    }


def result(row: ResultRow, specification_uuid: UUID, bm_uuid: UUID, version: VersionRow) -> dict[str, Any]:
    """Return a result with its figures."""
    told = cast("dict[str, Any]", row.told)
    warnings = [
        {"warning_type": kind, "message": _WARNINGS.get(kind, kind), "occurrences": count}
        for kind, count in told["warnings"].items()
    ]
    sets = [
        {"cutoff_value": one["cutoff"], "rows": [{**line, "values": _cells(line["values"])} for line in one["rows"]]}
        for one in told["sets"]
    ]
    return {
        **summary(row, specification_uuid, version),
        **frame(row),
        "bm_uuid": bm_uuid,
        "referenced_columns": referenced(row, version),
        "result_sets": sets,
        "version_comment": version.comment,
        "warnings": warnings,
    }


def frame(row: ResultRow) -> dict[str, Any]:
    """Return what a result was made of: the names, categories and columns of its report."""
    about = cast("dict[str, Any]", row.specification)
    asked: ReportDocument = about["asked"]
    mass = {"col_id": None, "label": MASS, "unit_id": asked["mass_unit_id"]}
    columns = [
        {"col_id": one["col_id"], "label": one["label"], "unit_id": unit_id}
        for one, unit_id in zip(asked["columns"], about["units"], strict=True)
    ]
    return {
        "categories": [{"col_id": one["col_id"], "label": one["label"]} for one in asked["categories"] or ()],
        "cutoff_col_id": asked["cutoff_col_id"],
        "report_specification_name": about["name"],
        "report_specification_description": about["description"],
        "report_specification_revision": about["revision"],
        "value_columns": [mass, *columns],
    }


def referenced(row: ResultRow, version: VersionRow) -> list[dict[str, Any]]:
    """Return the columns that a result was made of. A unit that its version did not have is from a later one."""
    own = {column["col_id"]: column.get("unit_id") for column in version.columns}
    columns: Sequence[ColumnDocument] = cast("dict[str, Any]", row.specification)["columns"]
    return [
        {
            "col_id": column["col_id"],
            "data_type": column["data_type"],
            "title": column["title"],
            "unit_id": column.get("unit_id"),
            "unit_id_from_version": version.uuid if own.get(column["col_id"]) else None,
        }
        for column in columns
    ]


def compared(
    one: ResultRow,
    other: ResultRow,
    specification_uuid: UUID,
    bm_uuid: UUID,
    places: tuple[VersionRow, VersionRow],
    digits: int | None,
) -> dict[str, Any]:
    """Return how the figures of one result differ from those of another, row by row; a row that one of them has not is without data."""
    return {
        **frame(other),
        "bm_uuid": bm_uuid,
        "report_specification_uuid": specification_uuid,
        "from_result": _side(one, places[0]),
        "to_result": _side(other, places[1]),
        "result_sets": _differences(_rows(one), _rows(other), digits),
        "warnings": {"comparison": [], "from_result": [], "to_result": []},
    }  # fmt: skip


Cells = Sequence[Sequence[Any]]
Rows = Mapping[tuple[Any, ...], Cells]


def _differences(before: Mapping[Any, Rows], after: Mapping[Any, Rows], digits: int | None) -> list[dict[str, Any]]:
    sets = []
    for cutoff in [*after, *(one for one in before if one not in after)]:
        old, new = before.get(cutoff, {}), after.get(cutoff, {})
        rows = []
        for key in [*(one for one in old if one not in new), *new]:
            width = len(new.get(key) or old[key])
            nothing = [[None, "NO_DATA"]] * width
            pairs = zip(old.get(key, nothing), new.get(key, nothing), strict=True)
            rows.append({"categories": [*key], "values": [_difference(was, now, digits) for was, now in pairs]})
        sets.append({"cutoff_value": cutoff, "rows": rows})
    return sets


def _difference(was: Sequence[Any], now: Sequence[Any], digits: int | None) -> dict[str, Any]:
    shown = {"from_value": _cell(was, digits), "to_value": _cell(now, digits)}
    if was[0] is None or now[0] is None:
        status = next(one[1] for one in (was, now) if one[0] is None)
        nothing = {"value": None, "status": status}
        return {**shown, "difference": nothing, "percent": nothing}
    percent = [None, "PERCENT_CHANGE_FROM_ZERO"] if was[0] == 0 else [(now[0] - was[0]) / abs(was[0]) * 100, "OK"]
    return {**shown, "difference": _cell([now[0] - was[0], "OK"], digits), "percent": _cell(percent, digits)}


def _rows(row: ResultRow) -> dict[Any, Rows]:
    told = cast("dict[str, Any]", row.told)
    return {one["cutoff"]: {tuple(line["categories"]): line["values"] for line in one["rows"]} for one in told["sets"]}


def _side(row: ResultRow, version: VersionRow) -> dict[str, Any]:
    return {
        "report_result_created_at": row.created,
        "report_result_uuid": row.uuid,
        "referenced_columns": referenced(row, version),
        "version_comment": version.comment,
        **_version(version),
    }


def _version(version: VersionRow) -> dict[str, Any]:
    return {
        "version_created_at": version.created,
        "version_created_by": view.user(version.created_by, version.created_by_name),
        "version_id": version.number,
        "version_uuid": version.uuid,
    }


def _cells(values: Cells) -> list[dict[str, Any]]:
    return [_cell(one, None) for one in values]


def _cell(one: Sequence[Any], digits: int | None) -> dict[str, Any]:
    value, status = one
    return {"value": value if value is None or digits is None else round(value, digits), "status": status}
