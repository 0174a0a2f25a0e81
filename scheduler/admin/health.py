"""Health: tells whether a process can do its work."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from scheduler.runtime import Runtime
from scheduler.store.schema import migrations


def database(rt: Runtime) -> bool:
    """Return whether the database answers."""
    try:
        with rt.db.connect():
            return True
    except SQLAlchemyError:
        return False


def trouble(rt: Runtime) -> str | None:
    """Return why this process cannot serve; None if the database answers and has the schema of this release."""
    try:
        with rt.db.begin() as tx:
            found = migrations.current(tx)
    except SQLAlchemyError:
        return "the database cannot be reached"
    return (
        None
        if found == migrations.head()
        else f"the database has schema {found}, this release needs {migrations.head()}"
    )
