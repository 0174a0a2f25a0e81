"""`ganger status` and `ganger version`: how the installation is, and what is installed here."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from api.commands import connection, screen
from api.commands.options import Json, StateDir, Token, Url


def status(*, as_json: Json = False, url: Url = None, token: Token = None, state_dir: StateDir = None) -> None:
    """Say how the installation is: scheduler, nodes, queue.

    [bold]ganger status[/]
    """
    with connection.client(url, token, state_dir) as api:
        told = api.status()
        address = api.url
    if as_json:
        screen.document(told)
        return
    screen.fields({"api": address, **_flat(told)})


def version(*, as_json: Json = False) -> None:
    """Say which version is installed here; that of a running API is in `ganger status`."""
    told = importlib.metadata.version("ganger")
    if as_json:
        screen.document({"version": told})
    else:
        screen.say(told)


def _flat(told: dict[str, Any], prefix: str = "") -> dict[str, object]:
    """Return nested objects as one level of names with blanks between, as a person reads them."""
    found: dict[str, object] = {}
    for name, value in told.items():
        title = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            found |= _flat(value, f"{title} ")
        elif value not in (None, [], ""):
            found[title] = value if isinstance(value, str | int | float) else screen.compact(value)
    return found
