"""What versions changed: of one beside its parent, and of all from one to another within a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from api.dialects.blockmodel import view
from api.dialects.blockmodel.bodies import DeltaBody
from api.http.routing import ApiCall
from scheduler.data_sets import working
from scheduler.errors import InvalidInput
from scheduler.rules.data_sets import differences
from scheduler.rules.data_sets import grid as grids
from scheduler.rules.data_sets.differences import ColumnChanges
from scheduler.rules.data_sets.documents import ColumnDocument, GridDocument, RangeDocument
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow

MOST_COMPARED = 500
"""Versions that one question for changes goes through: each is read with all of its columns."""


def changes(call: ApiCall, row: DataSetRow, version: VersionRow) -> dict[str, Any]:
    """Return what a version changed. How many rows its file had is known as long as its job is kept."""
    before = [] if version.base is None else working.numbered(call.rt, row, version.base).columns
    found = differences.between(before, version.columns)
    titles = {one["col_id"]: one["title"] for one in (*before, *version.columns)}
    is_filled = bool(found.new or found.updated)
    merge, rows = working.made_by(call.rt, version) if is_filled else (None, None)
    return {
        "blocks_uploaded": rows,
        "total_blocks": grids.count_of(cast("GridDocument", row.definition["grid"])),
        "update_type": None if merge is None else ("merge" if merge else "replace"),
        "columns": {
            "new": [titles[one] for one in found.new],
            "deleted": [titles[one] for one in found.deleted],
            "updated": [titles[one] for one in found.updated],
            "renamed": [{"old_title": old, "new_title": new} for old, new in found.renamed.values()],
            "metadata_updated": [{"title": titles[one], "values": values} for one, values in found.described.items()],
        },
    }


def between(
    call: ApiCall, row: DataSetRow, start: UUID, asked: DeltaBody, bbox: Mapping[str, RangeDocument]
) -> dict[str, Any] | None:
    """Return the changes of all versions after `start`, to the last one that was asked for; None where there are none.

    Raises NotFound for an unknown version, InvalidInput for an unknown column and for an end before the start.
    """
    first = working.version(call.rt, row, start)
    last = working.version(call.rt, row, asked.end_version_uuid)
    if last.number < first.number:
        raise InvalidInput("it is older than the version to begin with", field="end_version_uuid")
    if last.number - first.number > MOST_COMPARED:
        raise InvalidInput(
            f"at most {MOST_COMPARED} versions are compared at once, not {last.number - first.number}; name an earlier end",
            field="end_version_uuid",
        )
    chosen = _chosen(first.columns, asked.columns)
    box = grids.covered(cast("GridDocument", row.definition["grid"]), bbox)
    told: dict[str, list[Any]] = {"new_deltas": [], "delete_deltas": [], "update_deltas": [], "version_data": []}
    before = first
    for number in range(first.number + 1, last.number + 1):
        version = working.numbered(call.rt, row, number)
        found = differences.between(before.columns, version.columns).of(chosen)
        is_near = box is not None and version.bounds is not None and grids.meet(version.bounds, box)
        updated = found.updated if is_near else []
        for name, ids in (("new", found.new), ("delete", found.deleted), ("update", updated)):
            if ids:
                told[f"{name}_deltas"].append(version.uuid)
        if found.new or found.deleted or updated:
            told["version_data"].append(_data(version, found, updated))
        before = version
    return told if told["version_data"] else None


def _chosen(columns: Sequence[ColumnDocument], words: Sequence[str]) -> frozenset[str]:
    known = {one["col_id"] for one in columns}
    for number, word in enumerate(words):
        if word != "*" and word not in known:
            raise InvalidInput(f"there is no column with the id {word!r} in this version", field=f"columns[{number}]")
    return frozenset(known if "*" in words else words)


def _data(version: VersionRow, found: ColumnChanges, updated: Sequence[str]) -> dict[str, Any]:
    added = [one for one in version.columns if one["col_id"] in found.new]
    return {
        "bbox": version.bounds,
        "mapping": view.mapping(version.columns, version.groups),
        "update_columns": {
            "new": view.mapping(added, version.groups)["columns"],
            "delete": found.deleted,
            "update": [*updated],
            "rename": [{"col_id": one, "new_title": new} for one, (_, new) in found.renamed.items()],
            "update_metadata": [{"col_id": one, "values": values} for one, values in found.described.items()],
        },
        "version_id": version.number,
        "version_uuid": version.uuid,
    }
