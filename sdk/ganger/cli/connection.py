"""Which API a command talks to, and with which token: see `ganger.configuration`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganger import configuration
from ganger.configuration import Configuration
from ganger.errors import NotConfigured

if TYPE_CHECKING:
    from ganger import Client

# A person waits for the answer: an API that is not there is reported soon.
PATIENCE_S = 2.0
# What is submitted should not be lost to a restart of the API.
SUBMIT_PATIENCE_S = 10.0


def client(url: str | None, token: str | None, state_dir: Path | None, *, patience_s: float = PATIENCE_S) -> Client:
    """Return a client for this command. Raises NotConfigured if nothing says where the API is."""
    from ganger import Client  # noqa: PLC0415 - commands that ask nothing start without an HTTP library

    target = find(url, token, state_dir)
    return Client(target.url, target.token or "", patience_s=patience_s)


def find(url: str | None, token: str | None, state_dir: Path | None) -> Configuration:
    """Return the API's address and the token. Raises NotConfigured that says what to do."""
    try:
        return configuration.resolve(url, token, state_dir=state_dir)
    except NotConfigured as error:
        if not error.missed:
            raise
        raise NotConfigured(
            f"no API is known: {', '.join(error.missed)}. "
            "Start it, or say where the API is: --url or GANGER_API_URL (and --token or GANGER_TOKEN)"
        ) from None
