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
from scheduler.runtime import Runtime
from scheduler.store.retention import deletions, purge
from scheduler.store.retention.purge import PurgedFile, PurgeResult

WINDOW = 500
REASON = "deleted"


def delete_jobs(rt: Runtime, project_id: ProjectId, ids: Sequence[JobId], *, actor: str) -> None:
    """Delete jobs of a project; safe to repeat. What runs is stopped first; from now on searches do not find them."""
    with rt.db.begin() as tx:
        deletions.note(tx, "job", project_id, ids, actor)
    for _ in carry_out(rt, ids):
        pass


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
