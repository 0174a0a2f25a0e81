"""Deletes what users do not want any more: hidden at once, cancelled, and gone as soon as nothing of it runs.

A deletion is a row. Whoever notes one carries it out as far as is possible then; the sweep does the rest, as after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scheduler.errors import GangerError
from scheduler.events import CONTENT_LEFT
from scheduler.files import storage
from scheduler.identifiers import JobId, ProjectId
from scheduler.jobs import cancel
from scheduler.log import log
from scheduler.rules.workflow.definition import MOST_JOBS
from scheduler.runtime import Runtime
from scheduler.store.retention import deletions, purge
from scheduler.store.retention.purge import PurgedFile, PurgeResult
from scheduler.store.workflows import changes

WINDOW = 500
REASON = "deleted"


def delete_jobs(rt: Runtime, project_id: ProjectId, ids: Sequence[JobId], *, actor: str) -> None:
    """Delete jobs of a project; safe to repeat. What runs is stopped first; from now on searches do not find them."""
    with rt.db.begin() as tx:
        deletions.note(tx, "job", project_id, ids, actor)
    for _ in carry_out(rt, ids):
        pass


def delete_workflow(rt: Runtime, project_id: ProjectId, workflow_id: int, *, actor: str) -> None:
    """Delete a workflow of a project with its jobs; safe to repeat. What runs is stopped first; searches find none of it any more."""
    with rt.db.begin() as tx:
        ids = changes.job_ids(tx, workflow_id, after=0, limit=MOST_JOBS)
        deletions.note(tx, "workflow", project_id, [workflow_id], actor)
        deletions.note(tx, "job", project_id, ids, actor)
    for _ in carry_out(rt, ids):
        pass
    delete_empty(rt)


def delete_empty(rt: Runtime) -> None:
    """Delete the workflows that somebody has deleted and whose jobs are gone."""
    with rt.db.begin() as tx:
        for workflow_id in deletions.empty_workflows(tx, WINDOW):
            changes.delete(tx, workflow_id)


def carry_out(rt: Runtime, ids: Sequence[JobId] | None = None) -> Iterator[PurgeResult]:
    """Cancel what was deleted and lives, and purge what has ended, a window at a time; of these jobs if `ids` names some."""
    after = 0
    while True:
        with rt.db.begin() as tx:
            window = deletions.jobs(tx, after=after, limit=WINDOW, ids=ids)
        live = [job.id for job in window if job.is_live]
        if live:
            cancel.cancel(rt, live, actor="scheduler" if ids is None else "user", reason=REASON)
            with rt.db.begin() as tx:
                window = deletions.jobs(tx, after=after, limit=WINDOW, ids=[job.id for job in window])
        for project_id, ended in deletions.changed(window).items():
            with rt.db.begin() as tx:
                purged = purge.jobs(tx, project_id, ended)
            remove_contents(rt, purged.contents)
            yield purged
        if len(window) < WINDOW:
            return
        after = window[-1].id


def cancel_all(rt: Runtime, project_id: ProjectId) -> None:
    """Cancel every job of a project that was deleted: one may have been submitted while it was."""
    while True:
        with rt.db.begin() as tx:
            live = deletions.live_jobs(tx, project_id, WINDOW)
        if not live or not cancel.cancel(rt, live, actor="scheduler", reason=REASON).moved:
            return


def remove_contents(rt: Runtime, contents: Sequence[PurgedFile]) -> None:
    """Remove the contents of files that are gone; one that cannot be removed is logged, and stays."""
    for content in contents:
        try:
            storage.remove(content.url, content.path, rt.settings.workspace_roots)
        except GangerError as error:
            log.warning(CONTENT_LEFT, workspace=content.url, path=content.path, trouble=str(error))
