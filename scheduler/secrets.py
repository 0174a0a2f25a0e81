"""Administer the secrets of a project. A value goes in and never comes out again, but in a file of a job."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from scheduler.errors import InvalidInput, NotFound
from scheduler.runtime import Runtime
from scheduler.store import audit, secrets, submissions
from scheduler.tokens import Caller

MAX_BYTES = 64 * 1024


def put(rt: Runtime, caller: Caller, project: str, name: str, value: str) -> bool:
    """Set a secret; True if it is a new one. Raises NotFound, InvalidInput."""
    if not value or len(value.encode()) > MAX_BYTES or "\0" in value:
        raise InvalidInput(f"a secret is a text of 1 to {MAX_BYTES} bytes without NUL", field="value")
    with rt.db.begin() as tx:
        fresh = secrets.write(tx, _project(tx, caller, project), name, value)
        audit.write(tx, caller.name, "secret.set", f"project:{project}", detail={"name": name})
    return fresh


def entries(rt: Runtime, caller: Caller, project: str) -> list[Any]:
    """Return the names of a project's secrets and when they were set. Raises NotFound."""
    with rt.db.begin() as tx:
        return secrets.entries(tx, _project(tx, caller, project))


def remove(rt: Runtime, caller: Caller, project: str, name: str) -> None:
    """Delete a secret; jobs that name it fail from now on. Raises NotFound."""
    with rt.db.begin() as tx:
        if not secrets.remove(tx, _project(tx, caller, project), name):
            raise NotFound(f"the project {project!r} has no secret {name!r}")
        audit.write(tx, caller.name, "secret.delete", f"project:{project}", detail={"name": name})


def _project(tx: Connection, caller: Caller, name: str) -> int:
    found = submissions.project(tx, name) if caller.project in {None, name} else None
    if found is None:
        raise NotFound(f"there is no project {name!r}")
    return int(found.id)
