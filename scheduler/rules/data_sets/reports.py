"""Reports on block models: what makes a specification impossible, and what a program is asked so that it need know no units.

A report tells for each category (and all together), and for each cut-off, the mass of the blocks and the sums or the averages by mass
of their values. `factor` of a request turns a value into kilograms, cubic metres and so on, or at the end back into what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict, cast

from scheduler.documents import Document, JsonValue
from scheduler.errors import FaultList
from scheduler.rules.data_sets.documents import ColumnDocument, GridDocument, RangeDocument
from scheduler.rules.data_sets.units import CONTENT, UNITS, DataSetUnit, DataSetUnitKind

MOST_COLUMNS: Final = 100
MOST_CATEGORIES: Final = 5
MOST_CUTOFFS: Final = 20

_NUMBERS: Final = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64")  # fmt: skip
_WORDS: Final = ("Utf8", "Boolean", *_NUMBERS[:8])


class ReportColumnDocument(TypedDict):
    """A column that a report tells of. Without `output_unit_id` values stay as they are."""

    col_id: str
    label: str
    aggregation: str
    output_unit_id: str


class ReportCategoryDocument(TypedDict):
    """A column by whose values a report is divided: these, or all that there are."""

    col_id: str
    label: str
    values: list[str] | None


class ReportDocument(TypedDict):
    """What a report tells."""

    columns: list[ReportColumnDocument]
    categories: list[ReportCategoryDocument] | None
    cutoff_col_id: str | None
    cutoff_values: list[float] | None
    density_col_id: str | None
    density_value: float | None
    density_unit_id: str | None
    mass_unit_id: str
    bbox: dict[str, RangeDocument] | None
    null_values_policy: str
    negative_values_policy: str


def check(asked: ReportDocument, columns: Sequence[ColumnDocument], faults: FaultList) -> None:
    """Note all that keeps a report from being made on a version with these columns."""
    known = {column["col_id"]: column for column in columns}
    if not 1 <= len(asked["columns"]) <= MOST_COLUMNS:
        faults.note(f"a report has 1 to {MOST_COLUMNS} columns", field="columns")
    for number, one in enumerate(asked["columns"]):
        column = _column(known, one["col_id"], _NUMBERS, f"columns[{number}].col_id", faults)
        if column is not None:
            _check_output(one, column, f"columns[{number}].output_unit_id", faults)
    for number, category in enumerate(asked["categories"] or ()):
        _column(known, category["col_id"], _WORDS, f"categories[{number}].col_id", faults)
    if (asked["cutoff_col_id"] is None) is not (not asked["cutoff_values"]):
        faults.note("a cut-off has a column and values", field="cutoff_values")
    if asked["cutoff_col_id"] is not None:
        _column(known, asked["cutoff_col_id"], _NUMBERS, "cutoff_col_id", faults)
    _unit(asked["mass_unit_id"], DataSetUnitKind.MASS, "mass_unit_id", faults)
    _check_density(asked, known, faults)


def request(
    asked: ReportDocument, columns: Sequence[ColumnDocument], grid: GridDocument, length_unit: str | None
) -> tuple[Document, list[ColumnDocument]]:
    """Return what the program is asked, and the columns that it reads; `check` has found nothing."""
    known = {column["col_id"]: column for column in columns}
    read: dict[str, int] = {}

    def place(column_id: str) -> int:
        return read.setdefault(column_id, len(read))

    size = (
        UNITS[length_unit].factor if length_unit in UNITS and UNITS[length_unit].kind is DataSetUnitKind.LENGTH else 1.0
    )
    cutoff, density = asked["cutoff_col_id"], asked["density_col_id"]
    values: list[JsonValue] = [{"column": place(one["col_id"]), **_how(one, known)} for one in asked["columns"]]
    categories: list[JsonValue] = [
        {"column": place(one["col_id"]), "values": cast("JsonValue", one["values"])}
        for one in asked["categories"] or ()
    ]
    factor = 1.0 if density is None else UNITS[str(known[density].get("unit_id"))].factor
    given = asked["density_value"]
    document: Document = {
        "do": "report",
        "grid": cast("JsonValue", grid),
        "bbox": cast("JsonValue", asked["bbox"]),
        "values": values,
        "categories": categories,
        "cutoff": None if cutoff is None else {"column": place(cutoff), "values": cast("JsonValue", asked["cutoff_values"])},
        "density": {
            "column": None if density is None else place(density),
            "factor": factor,
            "otherwise": None if given is None else given * UNITS[str(asked["density_unit_id"])].factor,
        },
        "volume": grid["size"][0] * grid["size"][1] * grid["size"][2] * size**3,
        "mass_factor": 1 / UNITS[asked["mass_unit_id"]].factor,
        "nulls": asked["null_values_policy"],
        "negatives": asked["negative_values_policy"],
    }  # fmt: skip
    wanted = [known[column_id] for column_id in read]
    document["columns"] = [{"id": one["col_id"], "kind": one["data_type"]} for one in wanted]
    return document, wanted


def with_units(columns: Sequence[ColumnDocument], newest: Sequence[ColumnDocument]) -> list[ColumnDocument]:
    """Return the columns of a version, those without a unit with that of the newest version."""
    later = {column["col_id"]: column.get("unit_id") for column in newest}
    return [
        column if column.get("unit_id") else {**column, "unit_id": later.get(column["col_id"])} for column in columns
    ]


def shown_unit(one: ReportColumnDocument, columns: Mapping[str, ColumnDocument]) -> str:
    """Return the unit in which a report tells a column."""
    column = columns.get(one["col_id"])
    return one["output_unit_id"] or str((column.get("unit_id") if column else None) or "")


def _how(one: ReportColumnDocument, known: Mapping[str, ColumnDocument]) -> Document:
    way = "average" if one["aggregation"] == "MASS_AVERAGE" else "sum"
    unit, shown = UNITS.get(str(known[one["col_id"]].get("unit_id"))), UNITS.get(one["output_unit_id"])
    if unit is None or shown is None:
        return {"how": way, "factor": 1.0}
    if unit.kind is not shown.kind:
        way = CONTENT[unit.kind][1]
    return {"how": way, "factor": unit.factor / shown.factor}


def _check_output(one: ReportColumnDocument, column: ColumnDocument, field: str, faults: FaultList) -> None:
    if not one["output_unit_id"] or one["output_unit_id"] == column.get("unit_id"):
        return
    shown = UNITS.get(one["output_unit_id"])
    if shown is None:
        faults.note(f"there is no unit {one['output_unit_id']!r}", field=field)
        return
    unit = UNITS.get(str(column.get("unit_id")))
    if unit is None:
        faults.note(
            f"the column {column['title']!r} has no unit that is known; give it one to have it converted", field=field
        )
    elif not _fits(unit, shown, one["aggregation"]):
        faults.note(f"{unit.id} cannot be told in {shown.id} as {one['aggregation']}", field=field)


def _fits(unit: DataSetUnit, shown: DataSetUnit, aggregation: str) -> bool:
    if unit.kind is shown.kind:
        return True
    return aggregation == "SUM" and unit.kind in CONTENT and CONTENT[unit.kind][0] is shown.kind


def _check_density(asked: ReportDocument, known: Mapping[str, ColumnDocument], faults: FaultList) -> None:
    if asked["density_col_id"] is None and asked["density_value"] is None:
        faults.note("a report has a density, or a column with densities", field="density_value")
    if asked["density_value"] is not None:
        if asked["density_unit_id"] is None:
            faults.note("a density has a unit", field="density_unit_id")
        else:
            _unit(asked["density_unit_id"], DataSetUnitKind.MASS_PER_VOLUME, "density_unit_id", faults)
    if asked["density_col_id"] is not None:
        column = _column(known, asked["density_col_id"], _NUMBERS, "density_col_id", faults)
        if column is not None:
            _unit(str(column.get("unit_id") or ""), DataSetUnitKind.MASS_PER_VOLUME, "density_col_id", faults)


def _column(
    known: Mapping[str, ColumnDocument], column_id: str, kinds: Sequence[str], field: str, faults: FaultList
) -> ColumnDocument | None:
    column = known.get(column_id)
    if column is None:
        faults.note(f"there is no column with the id {column_id!r} in this version", field=field)
        return None
    if column["data_type"] not in kinds:
        faults.note(f"it cannot be the column {column['title']!r}, which has {column['data_type']}", field=field)
        return None
    return column


def _unit(unit_id: str, kind: DataSetUnitKind, field: str, faults: FaultList) -> None:
    unit = UNITS.get(unit_id)
    if unit is None or unit.kind is not kind:
        faults.note(f"{unit_id!r} is no unit of {kind.value}", field=field)


def is_sound(told: Mapping[str, JsonValue]) -> bool:
    """Return whether what a program reports has the form of a report: sets of rows of categories and figures, and counted warnings."""
    sets, warnings = told.get("sets"), told.get("warnings")
    return (
        isinstance(sets, list)
        and all(_is_set(one) for one in sets)
        and isinstance(warnings, dict)
        and all(isinstance(count, int) for count in warnings.values())
    )


def _is_set(one: JsonValue) -> bool:
    if not isinstance(one, dict) or not isinstance(rows := one.get("rows"), list):
        return False
    return _is_figure(one.get("cutoff")) and "cutoff" in one and all(_is_row(row) for row in rows)


def _is_row(row: JsonValue) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("categories"), list):
        return False
    cells = row.get("values")
    return isinstance(cells, list) and all(
        isinstance(cell, list) and len(cell) == 2 and _is_figure(cell[0]) and isinstance(cell[1], str)  # noqa: PLR2004 - value and status
        for cell in cells
    )


def _is_figure(value: JsonValue) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
