"""Options that several commands share, so that they are called and explained alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperGroup

from ganger.errors import UsageError

CONNECTION = "Where the API is"
BUILT_IN_RESOURCES = ("cpus", "mem", "disk")

Url: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="GANGER_API_URL",
        help="Address of the API, such as http://host:8470. Default: that of the running `ganger up`.",
        rich_help_panel=CONNECTION,
    ),
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="GANGER_TOKEN",
        show_envvar=True,
        help="API token. Default: that of the running `ganger up`.",
        rich_help_panel=CONNECTION,
    ),
]
StateDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        envvar="GANGER_STATE_DIR",
        help="State folder of the `ganger up` to talk to.",
        rich_help_panel=CONNECTION,
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]
JobId: TypeAlias = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")]


class ListByDefault(TyperGroup):
    """A noun alone lists: `ganger nodes --json` is `ganger nodes list --json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in `list` where no command stands."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def amounts(words: list[str]) -> dict[str, float]:
    """Return custom resources, `gpu=1` words, by name. Raises UsageError."""
    given = pairs(words, "--resource")
    for name in BUILT_IN_RESOURCES:
        if name in given:
            raise UsageError(f"{name} is not a custom resource; use --{name}", field="--resource")
    try:
        return {name: float(value) for name, value in given.items()}
    except ValueError as error:
        raise UsageError("--resource takes NAME=AMOUNT with a number, such as gpu=1") from error


def pairs(words: list[str], option: str) -> dict[str, str]:
    """Return `name=value` words by name. Raises UsageError naming the option."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"{option} takes NAME=VALUE, not {word!r}")
        found[name] = value
    return found
