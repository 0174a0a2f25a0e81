"""The workspaces that jobs name for their outputs: each has to be one that takes files, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Connection

from scheduler.documents import DataEntry
from scheduler.identifiers import ProjectId
from scheduler.jobs.entry_faults import EntryFaults
from scheduler.jobs.new_job import NewJob
from scheduler.store.admin import workspaces

_WEB = ("http://", "https://")


def note_unusable(tx: Connection, project_id: ProjectId, new: Sequence[NewJob], faults: EntryFaults) -> None:
    """Note each workspace that is unknown, not active, of other projects, or can only be read, by its place in the entry's data."""
    wanted = [
        (number, place, entry["workspace_id"])
        for number, job in enumerate(new)
        if job.data is not None
        for place, entry in enumerate(cast("list[DataEntry]", job.data.get("output_data") or []))
        if entry.get("workspace_id") is not None
    ]
    known = workspaces.find_all(tx, sorted({one for *_, one in wanted})) if wanted else {}
    for number, place, workspace_id in wanted:
        found = known.get(workspace_id)
        if found is None or not found.is_active or not found.serves(project_id):
            sentence = f"there is no active workspace {workspace_id}"
        elif found.url.startswith(_WEB):
            sentence = f"the workspace {found.name!r} is on the web and can only be read"
        else:
            continue
        faults.of(number).note(sentence, field=f"data.output_data[{place}].workspace_id")
