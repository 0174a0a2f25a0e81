"""The commands that the server adds to `ganger`: those that start roles, and those that need the scheduler's own code."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ganger.cli.command import CLUSTER, PROCESSES, Command
from ganger.errors import UsageError


def commands() -> Sequence[Command]:
    """Return the server's commands in the order of the help: what the entry point of the group `ganger.commands` names.

    Raises UsageError if another distribution's `scheduler` or `workers` would be imported instead of ours.
    """
    _require_own_packages()
    return (
        Command("simulate", "api.cli.simulate.command:simulate", CLUSTER, before="types"),
        Command("up", "api.cli.roles:up", PROCESSES, before="version"),
        Command("demo", "api.cli.demo:demo", PROCESSES, before="version"),
        Command("setup", "api.cli.setup:setup", PROCESSES, before="version"),
        Command("check", "api.cli.check:check", PROCESSES, before="version"),
        Command("api", "api.cli.roles:api", PROCESSES, before="version"),
        Command("scheduler", "api.cli.roles:scheduler", PROCESSES, before="version"),
        Command("worker", "api.cli.roles:worker", PROCESSES, before="version"),
    )


def _require_own_packages() -> None:
    home = Path(__file__).resolve().parents[2]
    for name in ("scheduler", "workers"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if found is None or found.parent.parent != home:
            raise UsageError(
                f"the package {name!r} is found at {found or 'no file'}, which is not Ganger's: another distribution "
                "brings one of this name; install Ganger in a virtual environment of its own"
            )
