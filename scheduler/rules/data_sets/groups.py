"""Groups of columns: each version has its own, and a column in one is called by the path to it, such as `Assays▸Au`.

Whoever names a column or a group in a request says its path as it was before the request; groups that the request makes may be
the parents of later ones, and columns may go into them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Required, TypedDict

from scheduler.documents import Document
from scheduler.errors import FaultList

SEPARATOR: Final = "▸"
MOST_GROUPS: Final = 200
MOST_DEPTH: Final = 10
MOST_TITLE: Final = 100
MOST_DESCRIBED: Final = 1 << 20
"""Bytes of JSON that say what the groups of a version are. Each version keeps them, and lists of versions show them all."""

INHERIT, USE_PREVIOUS, REJECT = "INHERIT", "USE_PREVIOUS", "REJECT"


class GroupDocument(TypedDict, total=False):
    """A group of a version. `missing` is what becomes of its columns that an update of others among them leaves out."""

    group_uuid: Required[str]
    title: Required[str]
    parent: str | None
    missing: Required[str]
    hidden: bool
    tags: Document | None


class NewGroupDocument(TypedDict, total=False):
    """A group that an update adds; `parent` is a path."""

    group_uuid: Required[str]
    title: Required[str]
    parent: str | None
    missing: Required[str]
    hidden: bool
    tags: Document | None


class GroupValuesDocument(TypedDict, total=False):
    """What is said anew of a group: only what is there changes; an empty `parent` path takes it out of its own."""

    group: Required[str]
    title: str
    parent: str
    missing: str
    hidden: bool
    tags: Document


class GroupChangesDocument(TypedDict):
    """What an update does to groups. `delete` are paths; a group that has something in it cannot go."""

    new: list[NewGroupDocument]
    update: list[GroupValuesDocument]
    delete: list[str]
    use_previous: list[str]


class Groups:
    """The groups of a version while an update changes them."""

    def __init__(self, before: Sequence[GroupDocument]) -> None:
        self._all = {one["group_uuid"]: GroupDocument(**one) for one in before}
        self._paths = {self.path(one): one for one in self._all}

    def documents(self) -> list[GroupDocument]:
        """Return all groups."""
        return [*self._all.values()]

    def path(self, group_uuid: str | None) -> str:
        """Return the path of a group, empty for none."""
        titles: list[str] = []
        while group_uuid is not None and len(titles) <= MOST_DEPTH:
            group = self._all[group_uuid]
            titles.append(group["title"])
            group_uuid = group.get("parent")
        return SEPARATOR.join(reversed(titles))

    def named(self, path: str, field: str, faults: FaultList) -> str | None:
        """Return the group that a path means, as things were before the update, or that it has made; None for an empty path."""
        if not path:
            return None
        found = self._paths.get(path)
        if found is None:
            faults.note(f"there is no group {path!r}", field=field)
        return found

    def change(self, asked: GroupChangesDocument, faults: FaultList) -> None:
        """Make new groups and change others; notes all that cannot be done."""
        for number, new in enumerate(asked["new"]):
            field = f"groups.new[{number}]"
            parent = self.named(new.get("parent") or "", f"{field}.parent_group", faults)
            group: GroupDocument = {**new, "parent": parent}
            self._all[group["group_uuid"]] = group
            self._paths.setdefault(self.path(group["group_uuid"]), group["group_uuid"])
        for number, values in enumerate(asked["update"]):
            field = f"groups.update_metadata[{number}]"
            found = self.named(values["group"], f"{field}.title", faults)
            if found is not None:
                self._describe(self._all[found], values, field, faults)

    def delete(self, asked: GroupChangesDocument, used: Mapping[str, str], faults: FaultList) -> None:
        """Take groups away, of which `used` has those that have columns, each with the title of one; then check all that is left."""
        gone = [self.named(path, f"groups.delete[{number}]", faults) for number, path in enumerate(asked["delete"])]
        for number, one in enumerate(gone):
            if one is None or one not in self._all:
                continue
            inside = [other["title"] for other in self._all.values() if other.get("parent") == one and other["group_uuid"] not in gone]  # fmt: skip
            if one in used or inside:
                what = used.get(one) or inside[0]
                faults.note(f"{what!r} is still in this group", field=f"groups.delete[{number}]")
        self._all = {key: group for key, group in self._all.items() if key not in gone}
        if not faults:
            self._check(faults)

    def resolved(self, group_uuid: str) -> str:
        """Return what becomes of columns that are left out: what the group says, or the nearest one above it that says something."""
        said = INHERIT
        place: str | None = group_uuid
        while said == INHERIT and place is not None:
            said, place = self._all[place]["missing"], self._all[place].get("parent")
        return USE_PREVIOUS if said == INHERIT else said

    def _describe(self, group: GroupDocument, values: GroupValuesDocument, field: str, faults: FaultList) -> None:
        for name in ("title", "missing", "hidden", "tags"):
            if name in values:
                group[name] = values[name]
        if "parent" in values:
            group["parent"] = self.named(values["parent"], f"{field}.values.parent_group", faults)
            seen, place = {group["group_uuid"]}, group["parent"]
            while place is not None:
                if place in seen:
                    faults.note("a group cannot be in itself", field=f"{field}.values.parent_group")
                    group["parent"] = None
                    return
                seen.add(place)
                place = self._all[place].get("parent")

    def _check(self, faults: FaultList) -> None:
        if (size := sum(len(json.dumps(one)) for one in self._all.values())) > MOST_DESCRIBED:
            faults.note(
                f"titles and tags of all groups are at most {MOST_DESCRIBED} bytes, and would be {size}", field="groups"
            )
        if len(self._all) > MOST_GROUPS:
            faults.note(f"a version has at most {MOST_GROUPS} groups", field="groups.new")
        seen: set[tuple[str | None, str]] = set()
        for one in self._all.values():
            title, place = one["title"], (one.get("parent"), one["title"].casefold())
            wrong = SEPARATOR in title or not title.strip() or len(title) > MOST_TITLE or min(title) < " "
            if wrong:
                faults.note(
                    f"the title of a group has 1 to {MOST_TITLE} characters, none of them {SEPARATOR}", field="groups"
                )
            if place in seen:
                faults.note(f"two groups in one place would have the title {title!r}", field="groups")
            if self.path(one["group_uuid"]).count(SEPARATOR) >= MOST_DEPTH:
                faults.note(f"groups are at most {MOST_DEPTH} deep", field="groups")
            seen.add(place)


def qualified(path: str, title: str) -> str:
    """Return the title that a column has within a group."""
    return f"{path}{SEPARATOR}{title}" if path else title


def plain(path: str, title: str) -> str:
    """Return the title of a column without the path of its group."""
    return title.removeprefix(f"{path}{SEPARATOR}") if path else title
