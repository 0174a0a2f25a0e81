"""Runners: each turns a phase's command into a program to start, by a pure function `(LaunchRequest) -> Launch`.

Where a program runs, as which user and within which limits is the same for all runners and not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from workers.runners import command, container, python, substitution, venvs
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest, PythonSettings
from workers.supervisor.limits import ENVIRONMENT

__all__ = ["RUNNERS", "Launch", "LaunchRefused", "LaunchRequest", "PythonSettings", "filled", "launch"]

RUNNERS: Final[Mapping[str, Callable[[LaunchRequest], Launch]]] = MappingProxyType(
    {
        "command": command.launch,
        "container": container.launch,
        "python": python.launch,
    }
)


def filled(request: LaunchRequest) -> list[str] | None:
    """Return the command of a phase with its values, as the program sees it; None where it has no place for a value."""
    if not any("${" in argument for argument in request.arguments):
        return None
    seen = container.inside(request) if request.spec.commands.runner == "container" else request
    start = 1 if request.spec.commands.shell else 0
    try:
        return [*request.arguments[:start], *substitution.fill(request.arguments[start:], seen.values())]
    except substitution.UnknownValue:
        return None  # the launch says what is wrong


def launch(request: LaunchRequest) -> Launch:
    """Return the program to start. Raises LaunchRefused with the sentence for people."""
    if request.phase == ENVIRONMENT:
        return venvs.launch(request).checked()
    runner = RUNNERS.get(request.spec.commands.runner)
    if runner is None:
        raise LaunchRefused(f"This node cannot run jobs of the kind {request.spec.commands.runner!r}.", of_job=False)
    return runner(request).checked()
