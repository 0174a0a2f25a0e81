"""Small output files of one attempt, hundreds at a time: written side by side, made durable together, one transaction."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from scheduler import wire
from scheduler.errors import Conflict, InvalidInput
from scheduler.files import files as single
from scheduler.files import storage
from scheduler.files.files import NewOutput
from scheduler.files.local_storage import Roots
from scheduler.files.storage import WorkspaceFile
from scheduler.identifiers import FileId
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.admin import files
from scheduler.store.admin.files import NewFile, WritingExecution
from scheduler.store.admin.workspaces import Workspace

_WRITERS: Final = 16
"""Threads that write at once. A file system syncs files that are synced at the same moment in one go."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """One output with its content, and the workspace that it goes to."""

    said: wire.BulkOutput
    content: bytes
    workspace: Workspace


def add_outputs(rt: Runtime, caller: Caller, message: wire.BulkOutputs, contents: Sequence[bytes]) -> list[FileId]:
    """Store outputs of a running attempt and return their ids, in order. They are invisible until the report is accepted.

    Safe to repeat, like `files.add_output`, and refused for the same reasons.
    """
    for said, content in zip(message.files, contents, strict=True):
        _check(said, content)
    keys = [(said.output, said.file_name) for said in message.files]
    with rt.db.begin() as tx:
        execution = single.live(tx, caller, _attempt(message))
        there = files.outputs(tx, message.execution_id, keys)
        places = {said.output: single.place_of(tx, execution, said.output) for said in message.files}
    new = [
        _Placed(said, content, places[said.output])
        for said, content in zip(message.files, contents, strict=True)
        if (said.output, said.file_name) not in there or there[said.output, said.file_name].sha256 != said.sha256
    ]
    roots = rt.settings.workspace_roots
    stored = _stored(f"outputs/{message.execution_id % 1000:03}/{message.execution_id}", new, roots)
    with rt.db.begin() as tx:
        made = files.insert_outputs(
            tx, [_row(message, execution, one, at) for one, at in zip(new, stored, strict=True)]
        )
        there = files.outputs(tx, message.execution_id, keys)
    _discard_repeated(new, stored, made, roots)
    for said in message.files:
        if there[said.output, said.file_name].sha256 != said.sha256:
            raise Conflict(f"the output {said.file_name!r} of this attempt is there already, with other content")
    return [there[key].id for key in keys]


def _check(said: wire.BulkOutput, content: bytes) -> None:
    single.check_name(said.file_name)
    single.check_media_type(said.media_type)
    if len(content) != said.size or hashlib.sha256(content).hexdigest() != said.sha256:
        raise InvalidInput(f"the content of {said.file_name!r} that arrived is not what was announced", field="sha256")


def _attempt(message: wire.BulkOutputs) -> NewOutput:
    return NewOutput(message.execution_id, message.attempt, message.token, "", "", "")


def _stored(under: str, new: Sequence[_Placed], roots: Roots) -> list[WorkspaceFile]:
    """Write all of them, side by side; if one can't be written, none stays."""
    if not new:
        return []
    with ThreadPoolExecutor(min(_WRITERS, len(new)), "bulk-writer") as writers:
        waiting = [
            writers.submit(storage.write, one.workspace.url, f"{under}/{secrets.token_hex(16)}", [one.content], roots)
            for one in new
        ]
    failures = [error for one in waiting if (error := one.exception()) is not None]
    if failures:
        for one, placed in zip(waiting, new, strict=True):
            if one.exception() is None:
                storage.remove(placed.workspace.url, one.result().path, roots)
        raise failures[0]
    return [one.result() for one in waiting]


def _row(message: wire.BulkOutputs, execution: WritingExecution, one: _Placed, stored: WorkspaceFile) -> NewFile:
    return NewFile(
        execution.project_id,
        one.workspace.id,
        one.said.file_name,
        one.said.media_type,
        stored.size,
        stored.sha256,
        stored.path,
        job_id=execution.job_id,
        execution_id=message.execution_id,
        output=one.said.output,
        is_published=False,
    )


def _discard_repeated(
    new: Sequence[_Placed], stored: Sequence[WorkspaceFile], made: frozenset[str], roots: Roots
) -> None:
    """Remove what another request had stored meanwhile."""
    for one, at in zip(new, stored, strict=True):
        if at.path not in made:
            storage.remove(one.workspace.url, at.path, roots)
