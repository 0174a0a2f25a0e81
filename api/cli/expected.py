"""The errors of the domain and of the database, told to the person at the command line as errors of use: one line, exit status 2."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ganger.errors import UsageError
from scheduler.errors import GangerError

P = ParamSpec("P")
R = TypeVar("R")


def reported(function: Callable[P, R]) -> Callable[P, R]:
    """Return a command that raises UsageError with the same sentence where `function` raises an error of the domain."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except GangerError as error:
            raise UsageError(str(error), field=error.field) from error
        except Exception as error:
            reason = _of_database(error)
            if reason is None:
                raise
            raise UsageError(f"the database: {reason}") from error

    return run


def _of_database(error: Exception) -> str | None:
    """Return what the database says is wrong; None for an error of another kind."""
    from sqlalchemy.exc import OperationalError, ProgrammingError  # noqa: PLC0415 - most commands need no database

    from scheduler.servers import database_wait  # noqa: PLC0415 - likewise

    return database_wait.reason_of(error) if isinstance(error, OperationalError | ProgrammingError) else None
