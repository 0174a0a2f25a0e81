"""Runners: each turns a phase's command into a program to start, by a pure function `(LaunchRequest) -> Launch`.

Where a program runs, as which user and within which limits is the same for all runners and not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from workers.runners import command, container, python, venvs
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest, PythonSettings
from workers.supervisor.limits import ENVIRONMENT

__all__ = ["RUNNERS", "Launch", "LaunchRefused", "LaunchRequest", "PythonSettings", "launch"]

RUNNERS: Final[Mapping[str, Callable[[LaunchRequest], Launch]]] = MappingProxyType(
    {
        "command": command.launch,
        "container": container.launch,
        "python": python.launch,
    }
)


def launch(request: LaunchRequest) -> Launch:
    """Return the program to start. Raises LaunchRefused with the sentence for people."""
    if request.phase == ENVIRONMENT:
        return venvs.launch(request).checked()
    runner = RUNNERS.get(request.spec.commands.runner)
    if runner is None:
        raise LaunchRefused(f"This node cannot run jobs of the kind {request.spec.commands.runner!r}.", of_job=False)
    return runner(request).checked()
