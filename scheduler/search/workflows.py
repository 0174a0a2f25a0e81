"""Searches of a project's workflows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scheduler.errors import NotFound
from scheduler.identifiers import ProjectId
from scheduler.runtime import Runtime
from scheduler.search import parts
from scheduler.store import searching
from scheduler.store.paging import RowCondition
from scheduler.store.retention.deletions import HIDDEN_WORKFLOW
from scheduler.store.searching import FieldOrder, TextCondition
from scheduler.store.workflows import summaries
from scheduler.store.workflows.summaries import WorkflowSummary

_SEEN = f"j.project_id = :own AND NOT j.is_open AND NOT {HIDDEN_WORKFLOW}"


def find(
    rt: Runtime, project_id: ProjectId, conditions: Sequence[TextCondition], order: FieldOrder
) -> Iterator[WorkflowSummary]:
    """Yield every workflow of a project that meets the conditions, in order."""
    with rt.db.begin() as tx:
        found = searching.ids(tx, summaries.TABLE, RowCondition(_SEEN, {"own": project_id}), conditions, order)
    return parts.read(rt, found, summaries.read)


def one(rt: Runtime, project_id: ProjectId, workflow_id: int) -> WorkflowSummary:
    """Return one workflow of a project; raises NotFound, also for one that somebody has deleted."""
    with rt.db.begin() as tx:
        bound = RowCondition(f"j.id = :id AND {_SEEN}", {"own": project_id, "id": workflow_id})
        found = summaries.read(tx, searching.ids(tx, summaries.TABLE, bound, (), FieldOrder()))
    if not found:
        raise NotFound(f"there is no workflow {workflow_id}")
    return found[0]
