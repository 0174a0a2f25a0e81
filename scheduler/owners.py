"""Owners: a job type and a named error belong to one project, or to the installation, whose things serve every project.

A project sees its own things and the installation's, and changes its own. Only callers of every project change the
installation's: whatever they change there changes what everybody's jobs do.
"""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.errors import Forbidden, InvalidInput
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.store.jobs import submissions


def of_new(tx: Connection, caller: Caller, project: str | None) -> ProjectId | None:
    """Return who will own a new thing: the named project, else the caller's, else None for the installation.

    Raises Forbidden for another project than the caller's, InvalidInput for one that is not there.
    """
    if caller.project is not None and project not in {None, caller.project}:
        raise Forbidden("the token is bound to another project", field="project")
    if project is None:
        return caller.project_id
    found = submissions.project(tx, project)
    if found is None:
        raise InvalidInput(f"there is no project {project!r}", field="project")
    return found.id


def sees(caller: Caller, owner: ProjectId | None) -> bool:
    """Return whether a caller may know of a thing with this owner."""
    return caller.project_id is None or owner in {None, caller.project_id}


def permit_change(caller: Caller, owner: ProjectId | None, *, noun: str, instead: str) -> None:
    """Raise Forbidden where a caller of one project would change a thing of the installation.

    `noun` names the thing with its article, `instead` says what the caller can do for its own project.
    """
    if caller.project_id is not None and owner is None:
        raise Forbidden(
            f"{noun} belongs to the installation, and your token to the project {caller.project}: {instead}"
        )
