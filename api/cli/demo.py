"""`ganger demo`: real jobs, every one checked against what should have happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.expected import reported
from ganger.cli.connection import Token
from ganger.cli.options import Json


@reported
def demo(
    *,
    state_dir: Annotated[
        Path | None, typer.Option(help="Start everything on this state folder. Default: a temporary one.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Use a running API instead of starting one.")] = None,
    token: Token = None,
    examples: Annotated[
        Path | None, typer.Option(help="Folder of the examples. Default: deploy/examples of this clone.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Put the results, KML files, into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Bring everything up, run real jobs through it, check every one, and shut it down. Exit status 0: all as it should be.

    [bold]ganger demo[/]

    [bold]ganger demo --keep ./results[/]

    [bold]ganger demo --url http://127.0.0.1:8470[/]
    """
    from api import demo as play  # noqa: PLC0415 - only here

    options = play.DemoOptions(state_dir=state_dir, url=url, token=token, examples=examples, keep=keep, json=as_json)
    raise typer.Exit(play.run(options))
