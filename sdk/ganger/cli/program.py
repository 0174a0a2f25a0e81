"""The program `ganger`: what all commands have in common, and a group that loads each of them when it is needed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ganger.cli import command

if TYPE_CHECKING:
    from typer._click.core import Command as ClickCommand
    from typer._click.core import Context


class LazyGroup(TyperGroup):
    """The commands of `ganger.cli.command`, each imported at its first use."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - as its base class
        """Return the names of all commands, in the order of the help."""
        return [each.name for each in command.every()]

    def get_command(self, ctx: Context, cmd_name: str) -> ClickCommand | None:
        """Return a command; of a name that nobody has, None after all were loaded, so that one of them can be suggested."""
        if cmd_name not in self.commands:
            wanted = command.named(cmd_name)
            for each in command.every() if wanted is None else [wanted]:
                command.add(self, each)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    name="ganger",
    cls=LazyGroup,
    help="A distributed worker scheduler: hands out work, sees that it gets done, knows who is free.",
    epilog="Exit status: 0 done, 1 the job failed or the answer is no, 2 used or set up wrongly, 3 no API, 4 not found or refused, "
    "70 a fault of Ganger's own, 130 interrupted. Start with: ganger up, then ganger submit --follow -- echo hello",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@cache
def root() -> LazyGroup:
    """Return the group of all commands, made once."""
    group = get_command(app)
    assert isinstance(group, LazyGroup)  # noqa: S101 - `app` says so
    return group


def _version(asked: bool) -> None:
    if asked:
        from ganger.cli import status  # noqa: PLC0415 - only here

        status.version()
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
