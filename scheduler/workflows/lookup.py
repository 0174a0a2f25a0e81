"""Reading runs: one, a list, their jobs; each with its state, derived from where the jobs stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.errors import NotFound
from scheduler.identity import Caller
from scheduler.rules.workflow.state import WorkflowState, state_of, will_fail
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.paging import PageWindow, RowPage
from scheduler.store.workflows import events, listing, workflows
from scheduler.store.workflows.events import WorkflowEvent
from scheduler.store.workflows.listing import WorkflowFilter
from scheduler.store.workflows.workflows import (
    ALL_JOBS,
    NO_JOBS,
    CountsRow,
    WorkflowJobFilter,
    WorkflowJobRow,
    WorkflowRow,
)


@dataclass(frozen=True, slots=True)
class ShownWorkflow:
    """A run with its state and where its jobs stand."""

    row: WorkflowRow
    state: WorkflowState
    found: CountsRow
    will_fail: bool = False


def get(rt: Runtime, caller: Caller, workflow_id: int) -> ShownWorkflow:
    """Return a run; raises NotFound for one that there is not, or that the caller may not see."""
    with rt.db.begin() as tx:
        row = one(tx, caller, workflow_id)
        return shown(row, workflows.counts(tx, [row.id]).get(row.id, NO_JOBS))


def listed(
    rt: Runtime, caller: Caller, chosen: WorkflowFilter, window: PageWindow
) -> tuple[RowPage[WorkflowRow], Sequence[ShownWorkflow]]:
    """Return one page of runs, and each of them with its state."""
    with rt.db.begin() as tx:
        paging.join_as_written(tx)
        page = paging.read(tx, listing.WORKFLOWS, listing.condition(chosen, caller.project_id), window)
        counts = workflows.counts(tx, [row.id for row in page.rows])
    return page, [shown(row, counts.get(row.id, NO_JOBS)) for row in page.rows]


def jobs(
    rt: Runtime,
    caller: Caller,
    workflow_id: int,
    chosen: WorkflowJobFilter = ALL_JOBS,
    *,
    after: int = 0,
    limit: int = 1_000,
) -> list[WorkflowJobRow]:
    """Return jobs of a run by their ids, from behind `after` on; raises NotFound."""
    with rt.db.begin() as tx:
        one(tx, caller, workflow_id)
        return workflows.jobs(tx, workflow_id, chosen, after=after, limit=limit)


def history(rt: Runtime, caller: Caller, workflow_id: int, skipped: int, limit: int) -> tuple[list[WorkflowEvent], int]:
    """Return what happened to a run as a whole, the oldest first, and how many events there are; raises NotFound."""
    with rt.db.begin() as tx:
        one(tx, caller, workflow_id)
        return events.page(tx, workflow_id, skipped, limit)


def culprit(rt: Runtime, caller: Caller, workflow_id: int) -> WorkflowJobRow | None:
    """Return the job of a run that failed first, of those that may not; None where none did. Raises NotFound."""
    with rt.db.begin() as tx:
        one(tx, caller, workflow_id)
        return workflows.culprit(tx, workflow_id)


def states(tx: Connection, ids: Collection[int]) -> dict[int, WorkflowState]:
    """Return the states of these runs, derived from where their jobs stand; those that are gone are left out."""
    canceled = workflows.canceled(tx, ids) if ids else set[int]()
    return {
        key: state_of(found.counts, is_canceled=key in canceled) for key, found in workflows.counts(tx, ids).items()
    }


def one(tx: Connection, caller: Caller, workflow_id: int) -> WorkflowRow:
    """Return the row of a run that the caller may see; raises NotFound."""
    row = workflows.one(tx, workflow_id)
    if row is None or caller.project_id not in {None, row.project_id}:
        raise NotFound(f"there is no workflow {workflow_id}")
    return row


def shown(row: WorkflowRow, found: CountsRow) -> ShownWorkflow:
    """Return a run with its state."""
    state = state_of(found.counts, is_canceled=row.canceled is not None)
    return ShownWorkflow(row, state, found, will_fail(found.counts))
