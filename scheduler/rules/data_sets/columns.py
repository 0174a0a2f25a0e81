"""What an update makes of the columns of a version, decided before it is asked for, when it starts, and when it has ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.errors import FaultList
from scheduler.rules.data_sets.documents import ChangesDocument, ColumnDocument
from scheduler.rules.data_sets.groups import REJECT, GroupChangesDocument, GroupDocument, Groups, plain, qualified

DATA_TYPES: Final = (
    *("Boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    *("Float16", "Float32", "Float64", "Utf8", "Date32", "Timestamp"),
)
MAX_COLUMNS: Final = 500
MAX_TITLE: Final = 200
MOST_DESCRIBED: Final = 1 << 20
"""Bytes of JSON that say what the columns of a version are. Each version keeps them, and lists of versions show them all."""
NO_CHANGES: Final[GroupChangesDocument] = {"new": [], "update": [], "delete": [], "use_previous": []}
GEOMETRY: Final = frozenset({"i", "j", "k", "x", "y", "z", "dx", "dy", "dz", "sidx", "version_id"})
"""Titles that no column can have: files use them for the keys of blocks."""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """The columns of the next version, and those of them whose values a file brings.

    `titles` are the names under which the file may have each of these, by column id; `bases` the files that their values
    are taken from first, None for a new column.
    """

    columns: list[ColumnDocument]
    groups: list[GroupDocument]
    titles: dict[str, tuple[str, ...]]
    bases: dict[str, int | None]

    @property
    def needs_file(self) -> bool:
        """Whether a file has to be uploaded for it."""
        return bool(self.titles)


def plan(
    before: Sequence[ColumnDocument],
    changes: ChangesDocument,
    faults: FaultList,
    grouped: Sequence[GroupDocument] = (),
) -> ColumnPlan:
    """Return what changes make of the columns and groups of a version; notes all that cannot be done."""
    groups, asked = Groups(grouped), changes.get("groups") or NO_CHANGES
    plains = {one["col_id"]: plain(groups.path(one.get("group_uuid")), one["title"]) for one in before}
    groups.change(asked, faults)
    columns = [ColumnDocument(**column) for column in before]
    renamed = {one["title"]: one["new_title"] for one in changes["rename"]}
    touched = _found(columns, changes["update"], "update", faults, renamed)
    deleted = _found(columns, changes["delete"], "delete", faults)
    moved = _found(columns, [one["title"] for one in changes["rename"]], "rename", faults)
    told = _found(columns, [one["title"] for one in changes["metadata"]], "update_metadata", faults)
    for name, others in (("update", touched), ("rename", moved), ("update_metadata", told)):
        for column_id in others.keys() & deleted.keys():
            faults.note(f"{others[column_id]!r} is deleted as well", field=f"columns.{name}")
    old_titles = {column["col_id"]: column["title"] for column in columns}
    by_id = {column["col_id"]: column for column in columns}
    for rename, column_id in zip(changes["rename"], moved, strict=False):
        plains[column_id] = rename["new_title"]
    for metadata, column_id in zip(changes["metadata"], told, strict=False):
        _describe(by_id[column_id], metadata)
        plains[column_id] = metadata.get("new_title", plains[column_id])
        if "group" in metadata:
            by_id[column_id]["group_uuid"] = groups.named(metadata["group"], "columns.update_metadata", faults)
    kept = [column for column in columns if column["col_id"] not in deleted]
    kept += _new(changes, groups, faults)
    plains |= {one["col_id"]: one["title"] for one in changes["new"]}
    groups.delete(asked, {str(one.get("group_uuid")): one["title"] for one in kept}, faults)
    _check_titles([{**one, "title": plains[one["col_id"]]} for one in kept], faults)
    if not faults:
        for column in kept:
            column["title"] = qualified(groups.path(column.get("group_uuid")), plains[column["col_id"]])
        _check_twice(kept, faults)
        _check_left_out(kept, groups, asked, touched.keys() | {one["col_id"] for one in changes["new"]}, faults)
    titles = {column_id: _titles(old_titles[column_id], by_id[column_id]["title"]) for column_id in touched}
    bases = {column_id: by_id[column_id].get("file_id") for column_id in touched}
    fresh = {one["col_id"] for one in changes["new"]}
    titles |= {one["col_id"]: (one["title"],) for one in kept if one["col_id"] in fresh}
    return ColumnPlan(kept, groups.documents(), titles, bases | {one["col_id"]: None for one in changes["new"]})


def with_files(planned: ColumnPlan, files: Mapping[str, int]) -> list[ColumnDocument] | None:
    """Return the columns with the files that a job has made, by column id; None where one is missing."""
    if planned.titles.keys() - files.keys():
        return None
    return [
        {**column, "file_id": files[column["col_id"]]} if column["col_id"] in planned.titles else column
        for column in planned.columns
    ]


def selected(
    columns: Sequence[ColumnDocument], asked: Iterable[str], faults: FaultList, hidden: Collection[str | None] = ()
) -> list[ColumnDocument]:
    """Return the columns that a query asks for by title or id, in its order; `*` is all that are in no hidden group, by title."""
    found: dict[str, ColumnDocument] = {}
    for number, word in enumerate(asked):
        if word == "*":
            for column in sorted(
                (one for one in columns if one.get("group_uuid") not in hidden),
                key=lambda one: (one["title"].casefold(), one["title"]),
            ):
                found.setdefault(column["col_id"], column)
        elif word not in GEOMETRY or word == "version_id":
            column_id = _find(columns, word)
            if column_id is None:
                sentence = (
                    "the version of each block is not kept; ask for two versions and compare them"
                    if word == "version_id"
                    else f"there is no column {word!r} in this version"
                )
                faults.note(sentence, field=f"columns[{number}]")
            else:
                found.setdefault(column_id, next(one for one in columns if one["col_id"] == column_id))
    return [*found.values()]


def _new(changes: ChangesDocument, groups: Groups, faults: FaultList) -> list[ColumnDocument]:
    made: list[ColumnDocument] = []
    for one in changes["new"]:
        column: ColumnDocument = {
            "col_id": one["col_id"],
            "title": one["title"],
            "data_type": one["data_type"],
            "unit_id": one.get("unit_id"),
            "tags": one.get("tags"),
        }
        if one.get("group"):
            column["group_uuid"] = groups.named(one["group"], "columns.new", faults)
        made.append(column)
    return made


def _found(
    columns: Sequence[ColumnDocument],
    words: Sequence[str],
    where: str,
    faults: FaultList,
    renamed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the ids of the columns that words mean, with the words, in their order."""
    meant: dict[str, str] = {}
    back = {new: old for old, new in (renamed or {}).items()}
    for number, word in enumerate(words):
        column_id = _find(columns, word) or (_find(columns, back[word]) if word in back else None)
        if column_id is None:
            faults.note(f"there is no column {word!r}", field=f"columns.{where}[{number}]")
        elif column_id in meant:
            faults.note(f"the column {word!r} is there twice", field=f"columns.{where}[{number}]")
        else:
            meant[column_id] = word
    return meant


def _find(columns: Sequence[ColumnDocument], word: str) -> str | None:
    for key in ("title", "col_id"):
        for column in columns:
            if column[key] == word:
                return column["col_id"]
    return None


def _describe(column: ColumnDocument, metadata: Mapping[str, object]) -> None:
    if "unit_id" in metadata:
        column["unit_id"] = None if metadata["unit_id"] is None else str(metadata["unit_id"])
    if "tags" in metadata:
        column["tags"] = metadata["tags"]  # type: ignore[typeddict-item]  # checked where it was read


def _titles(old: str, new: str) -> tuple[str, ...]:
    return (old,) if old == new else (old, new)


def _check_titles(columns: Sequence[ColumnDocument], faults: FaultList) -> None:
    for column in columns:
        title = column["title"]
        if title in GEOMETRY or title == "*":
            faults.note(
                f"no column can have the title {title!r}: files use it for the blocks themselves", field="columns"
            )
        if not title.strip() or len(title) > MAX_TITLE or any(ord(letter) < ord(" ") for letter in title):
            faults.note(f"a title has 1 to {MAX_TITLE} characters, none of them a control character", field="columns")
    if len(columns) > MAX_COLUMNS:
        faults.note(f"a version has at most {MAX_COLUMNS} columns", field="columns.new")
    if (size := sum(len(json.dumps(column)) for column in columns)) > MOST_DESCRIBED:
        faults.note(
            f"titles, units and tags of all columns are at most {MOST_DESCRIBED} bytes, and would be {size}",
            field="columns",
        )


def _check_twice(columns: Sequence[ColumnDocument], faults: FaultList) -> None:
    seen: set[str] = set()
    for column in columns:
        if column["title"] in seen:
            faults.note(f"two columns would have the title {column['title']!r}", field="columns")
        seen.add(column["title"])


def _check_left_out(
    columns: Sequence[ColumnDocument],
    groups: Groups,
    asked: GroupChangesDocument,
    filled: Collection[str],
    faults: FaultList,
) -> None:
    """Note columns whose group refuses that an update of others in it leaves them out."""
    spared = {groups.named(path, "group_missing_column_override", faults) for path in asked["use_previous"]}
    concerned = {one.get("group_uuid") for one in columns if one["col_id"] in filled} - {None} - spared
    for column in columns:
        group = column.get("group_uuid")
        if (
            group is not None
            and group in concerned
            and column["col_id"] not in filled
            and groups.resolved(group) == REJECT
        ):
            faults.note(
                f"the column {column['title']!r} is left out, which its group does not allow", field="columns.update"
            )
