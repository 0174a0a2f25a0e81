"""Jobs counted in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scheduler.errors import InvalidInput
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.jobs import listing
from scheduler.store.jobs.listing import JobFilter
from scheduler.store.lookup import grouping
from scheduler.store.lookup.grouping import JobGroupCount

MOST = 100
WORDS = ("status", *(key for key in grouping.KEYS if key != "label"))


def of_jobs(rt: Runtime, caller: Caller, chosen: JobFilter, key: str) -> Sequence[JobGroupCount]:
    """Return the groups of the jobs that match, the largest first, at most 100; `key` is one of `WORDS`, or `label:KEY`."""
    word, _, label = key.partition(":")
    if word == "label" and not label:
        raise InvalidInput("a label is named by its key: label:run", field="group_by")
    if word != "label" and key not in WORDS:
        raise InvalidInput(f"jobs are grouped by {', '.join(WORDS)}, or label:KEY", field="group_by")
    with rt.db.begin() as tx:
        condition = listing.condition(tx, replace(chosen, project_id=caller.project_id))
        return grouping.groups(tx, condition, word, most=MOST, label=label or None)
