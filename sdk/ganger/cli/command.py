"""The list of commands. Each entry is a command before it is loaded: its name, its place in the help, and its code.

A command is imported when it is called or explained, so that `ganger jobs` does not pay for all the others. Other
distributions add commands by an entry point of the group `ganger.commands`: a function that returns a tuple of them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer.core import TyperGroup

JOBS, CLUSTER, PROCESSES = "Jobs", "What jobs are made of and run on", "Running Ganger"

ENTRY_POINTS = "ganger.commands"


@dataclass(frozen=True, slots=True)
class Command:
    """One command, or a group of them such as `ganger nodes`.

    `source` is `module:name` of a function or of a typer.Typer; `cls` likewise of a class that parses the words of a
    function in its own way. In the help it stands in `panel`, and `before` another command if it says so, else last.
    """

    name: str
    source: str
    panel: str
    cls: str | None = None
    before: str | None = None


OURS = (
    Command("submit", "ganger.cli.submit.command:submit", JOBS, cls="ganger.cli.submit.command:SubmitCommand"),
    Command("upload", "ganger.cli.data.upload:upload", JOBS),
    Command("jobs", "ganger.cli.jobs.listing:jobs", JOBS),
    Command("show", "ganger.cli.jobs.show:show", JOBS),
    Command("logs", "ganger.cli.jobs.logs:logs", JOBS),
    Command("usage", "ganger.cli.lookup.usage:usage", JOBS),
    Command("why", "ganger.cli.jobs.why:why", JOBS),
    Command("queue", "ganger.cli.jobs.queue:queue", JOBS),
    Command("search", "ganger.cli.lookup.search:search", JOBS),
    Command("watch", "ganger.cli.lookup.search:watch", JOBS),
    Command("cancel", "ganger.cli.jobs.cancel:cancel", JOBS),
    Command("requeue", "ganger.cli.jobs.requeue:requeue", JOBS),
    Command("done", "ganger.cli.jobs.done:done", JOBS),
    Command("needs", "ganger.cli.submit.needs:needs", JOBS),
    Command("workflow", "ganger.cli.workflows.group:workflow", JOBS),
    Command("schedule", "ganger.cli.schedules.commands:schedule", JOBS),
    Command("hold", "ganger.cli.jobs.hold:hold", JOBS),
    Command("release", "ganger.cli.jobs.hold:release", JOBS),
    Command("pin", "ganger.cli.jobs.pin:pin", JOBS),
    Command("unpin", "ganger.cli.jobs.pin:unpin", JOBS),
    Command("operations", "ganger.cli.lookup.operations:operations", JOBS),
    Command("pools", "ganger.cli.nodes.pools:pools", CLUSTER),
    Command("scale", "ganger.cli.nodes.scale:scale", CLUSTER),
    Command("drain", "ganger.cli.nodes.availability:drain", CLUSTER),
    Command("pause", "ganger.cli.nodes.availability:pause", CLUSTER),
    Command("resume", "ganger.cli.nodes.availability:resume", CLUSTER),
    Command("status", "ganger.cli.status:status", CLUSTER),
    Command("types", "ganger.cli.data.job_types:types", CLUSTER),
    Command("files", "ganger.cli.data.files:files", CLUSTER),
    Command("data-sets", "ganger.cli.data.data_sets:data_sets", CLUSTER),
    Command("nodes", "ganger.cli.nodes.nodes:nodes", CLUSTER),
    Command("me", "ganger.cli.lookup.acts:me", CLUSTER),
    Command("audit", "ganger.cli.lookup.acts:audit", CLUSTER),
    Command("tokens", "ganger.cli.admin.tokens:tokens", CLUSTER),
    Command("projects", "ganger.cli.admin.projects:projects", CLUSTER),
    Command("purge", "ganger.cli.admin.purge:purge", CLUSTER),
    Command("secrets", "ganger.cli.admin.secrets:secrets", CLUSTER),
    Command("errors", "ganger.cli.admin.errors:errors", CLUSTER),
    Command("ui", "ganger.cli.ui:ui", PROCESSES),
    Command("version", "ganger.cli.status:version", PROCESSES),
)
"""In the order of the help."""


def named(name: str) -> Command | None:
    """Return the command of this name; other distributions are asked only for names that are not ours."""
    own = next((command for command in OURS if command.name == name), None)
    return own or next((command for command in _plugged() if command.name == name), None)


def every() -> Sequence[Command]:
    """Return all commands in the order of the help."""
    found = list(OURS)
    for command in _plugged():
        at = next((index for index, other in enumerate(found) if other.name == command.before), len(found))
        found.insert(at, command)
    return found


def load(source: str) -> object:
    """Return what `module:name` names."""
    module, _, name = source.partition(":")
    return getattr(importlib.import_module(module), name)


def add(group: TyperGroup, command: Command) -> None:
    """Import a command and add it to a group under its name."""
    import typer  # noqa: PLC0415 - whoever only reads this list needs no library
    from typer.core import TyperCommand  # noqa: PLC0415 - likewise
    from typer.main import get_group  # noqa: PLC0415 - likewise

    around = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="rich")
    loaded = load(command.source)
    if isinstance(loaded, typer.Typer):
        around.add_typer(loaded, name=command.name, rich_help_panel=command.panel)
    else:
        cls = load(command.cls) if command.cls is not None else TyperCommand
        assert callable(loaded)  # noqa: S101 - `source` names a function or a Typer
        assert isinstance(cls, type)  # noqa: S101 - `cls` names a class
        around.command(command.name, cls=cls, rich_help_panel=command.panel)(loaded)
    group.add_command(get_group(around).commands[command.name], command.name)


@cache
def _plugged() -> Sequence[Command]:
    """Return the commands of other distributions, in the order in which they list them."""
    found = sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
    return [command for entry in found for command in entry.load()()]
