"""The errors of the domain, told to the person at the command line as errors of use: one line, exit status 2."""

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

    return run
