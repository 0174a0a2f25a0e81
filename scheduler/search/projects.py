"""Searches of projects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scheduler.errors import NotFound
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.search import parts
from scheduler.store import searching
from scheduler.store.admin import project_summaries
from scheduler.store.admin.project_summaries import ProjectSummary
from scheduler.store.paging import RowCondition
from scheduler.store.searching import FieldOrder, TextCondition

LONGEST_ID = 18


def find(
    rt: Runtime, caller: Caller, conditions: Sequence[TextCondition], order: FieldOrder
) -> Iterator[ProjectSummary]:
    """Yield every project that the caller may see and that meets the conditions, in order."""
    bound = RowCondition(
        "j.deleted IS NULL AND (CAST(:own AS bigint) IS NULL OR j.id = :own)", {"own": caller.project_id}
    )
    with rt.db.begin() as tx:
        ids = searching.ids(tx, project_summaries.TABLE, bound, conditions, order)
    return parts.read(rt, ids, lambda tx, some: project_summaries.read(tx, [ProjectId(one) for one in some]))


def one(rt: Runtime, caller: Caller, key: str) -> ProjectSummary:
    """Return the project with this id, or of this name; raises NotFound, also for one that the caller may not see."""
    with rt.db.begin() as tx:
        project_id: ProjectId | None
        if key.isascii() and key.isdigit():
            project_id = ProjectId(int(key)) if len(key) <= LONGEST_ID else None
        else:
            project_id = project_summaries.named(tx, key)
        found = [] if project_id is None else project_summaries.read(tx, [project_id])
    if not found or caller.project_id not in {None, found[0].id}:
        raise NotFound(f"there is no project {key[:80]!r}")
    return found[0]
