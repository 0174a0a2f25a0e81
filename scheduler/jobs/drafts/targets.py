"""Targets: the projects and types that single jobs were submitted to lately, so that the next submission need not read them.

They may be out of date: the statement that writes a job compares their mark with the rows, and writes nothing if it is another.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from scheduler.runtime import Runtime
from scheduler.store.submission import single
from scheduler.store.submission.single import SubmissionTarget, TypeReference

MAX_TARGETS = 10_000
_targets: WeakKeyDictionary[Engine, dict[tuple[str, TypeReference], SubmissionTarget]] = WeakKeyDictionary()


def remembered(rt: Runtime, project: str, reference: TypeReference) -> SubmissionTarget | None:
    """Return a target as it was when it was read last."""
    return _targets.get(rt.db, {}).get((project, reference))


def read(rt: Runtime, tx: Connection, project: str, reference: TypeReference) -> SubmissionTarget | None:
    """Return a target as it is now, and remember it. None if there is no such project, or no such type there."""
    memory = _targets.setdefault(rt.db, {})
    found = single.target(tx, project, reference)
    if len(memory) >= MAX_TARGETS:
        memory.clear()
    if found is None:
        memory.pop((project, reference), None)
    else:
        memory[project, reference] = found
    return found
