"""What uploads leave: jobs that waited too long fail, and what was staged for jobs that wait no longer is removed."""

from __future__ import annotations

from scheduler.errors import GangerError
from scheduler.events import CONTENT_LEFT
from scheduler.files import storage
from scheduler.log import log
from scheduler.runtime import Runtime
from scheduler.store.uploads import uploads
from scheduler.uploads import arrival

_BATCH = 200


def sweep(rt: Runtime) -> int:
    """Do both; return how many uploads were cleared. Safe to break off and to repeat; two at once do each other no harm."""
    arrival.end_overdue(rt)
    with rt.db.begin() as tx:
        left = uploads.clear(tx, _BATCH)
    roots = rt.settings.workspace_roots
    for one in left:
        try:
            storage.clear(one.workspace_url, one.stage, roots)
            if one.path is not None:
                storage.remove(one.workspace_url, one.path, roots)
        except GangerError as error:
            log.warning(CONTENT_LEFT, workspace=one.workspace_url, path=str(one.stage), trouble=str(error))
    return len(left)
