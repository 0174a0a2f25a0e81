"""`ganger ui`: the page in the browser, signed in."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, expanded


@expanded
def ui(
    *,
    show: Annotated[
        bool, typer.Option("--print", help="Print the address instead of opening it, for a browser elsewhere.")
    ] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Open the page in the browser, signed in with this token: fleet, jobs, logs, and why anything waits.

    [bold]ganger ui[/]

    [bold]ganger ui --print[/]
    """
    with connection.client() as api:
        made = api.tokens.login_code()
    if as_json:
        screen.document(made)
    elif show or not webbrowser.open(made["url"]):
        screen.text(made["url"])
        screen.note(f"it signs one browser in, once, within {made['valid_s']} seconds")
    else:
        screen.note(f"opened {made['url'].partition('#')[0]}")
