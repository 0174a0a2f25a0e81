"""What a version of a data set has that the one before it had not: columns by their ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.documents import Document
from scheduler.rules.data_sets.documents import ColumnDocument


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """Ids of columns that are new, gone, or have other values; old and new titles; and what is said anew of them, by id."""

    new: list[str]
    deleted: list[str]
    updated: list[str]
    renamed: Mapping[str, tuple[str, str]]
    described: Mapping[str, Document]

    def of(self, chosen: Collection[str]) -> ColumnChanges:
        """Return these changes without deletions and updates of other columns; a new one is nobody's yet."""
        deleted, updated = ([one for one in ids if one in chosen] for ids in (self.deleted, self.updated))
        return replace(self, deleted=deleted, updated=updated)


def between(before: Sequence[ColumnDocument], after: Sequence[ColumnDocument]) -> ColumnChanges:
    """Return what has changed, in the order of the columns."""
    old = {column["col_id"]: column for column in before}
    kept = [(old[column["col_id"]], column) for column in after if column["col_id"] in old]
    here = {column["col_id"] for column in after}
    return ColumnChanges(
        new=[column["col_id"] for column in after if column["col_id"] not in old],
        deleted=[column_id for column_id in old if column_id not in here],
        updated=[new["col_id"] for was, new in kept if was.get("file_id") != new.get("file_id")],
        renamed={new["col_id"]: (was["title"], new["title"]) for was, new in kept if was["title"] != new["title"]},
        described={new["col_id"]: said for was, new in kept if (said := _said_anew(was, new))},
    )


def _said_anew(was: ColumnDocument, new: ColumnDocument) -> Document:
    said: Document = {}
    if was.get("unit_id") != new.get("unit_id"):
        said["unit_id"] = new.get("unit_id")
    if (was.get("tags") or {}) != (new.get("tags") or {}):
        said["tags"] = new.get("tags") or {}
    return said
