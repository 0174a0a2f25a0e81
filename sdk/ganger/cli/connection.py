"""Which API a command talks to, and with which token: the options, and where else `ganger.configuration` looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ganger import configuration
from ganger.cli import screen
from ganger.configuration import Configuration
from ganger.errors import NotConfigured

if TYPE_CHECKING:
    from ganger import Client

PANEL, OUTPUT = "Where the API is", "How it is shown"

# A person waits for the answer: an API that is not there is reported soon.
PATIENCE_S = 2.0
# A submission should survive a restart of the API.
SUBMIT_PATIENCE_S = 10.0


def _zone(wanted: bool) -> bool:
    return screen.use_utc(wanted=wanted)


Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="GANGER_TOKEN",
        show_envvar=True,
        help="API token. Default: that of the running `ganger up`.",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Connection:
    """The options by which every command finds its API."""

    url: Annotated[
        str | None,
        typer.Option(
            envvar="GANGER_API_URL",
            help="Address of the API, such as http://host:8470. Default: that of the running `ganger up`.",
            rich_help_panel=PANEL,
        ),
    ] = None
    token: Token = None
    state_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="GANGER_STATE_DIR", help="State folder of the `ganger up` to talk to.", rich_help_panel=PANEL
        ),
    ] = None

    utc: Annotated[
        bool,
        typer.Option(
            "--utc", callback=_zone, help="Show times in UTC instead of this machine's zone.", rich_help_panel=OUTPUT
        ),
    ] = False

    def client(self, *, patience_s: float = PATIENCE_S) -> Client:
        """Return a client for this command. Raises NotConfigured if nothing says where the API is."""
        from ganger import Client  # noqa: PLC0415 - commands that ask nothing start without an HTTP library

        target = self.resolve()
        return Client(target.url, target.token or "", patience_s=patience_s, on_token_ending=_warn)

    def resolve(self) -> Configuration:
        """Return the API's address and the token. Raises NotConfigured that says what to do."""
        token = self.token
        if token is not None:
            token = configuration.checked_token(token, "the token of --token or GANGER_TOKEN")
        try:
            return configuration.resolve(self.url, token, state_dir=self.state_dir)
        except NotConfigured as error:
            if not error.missed:
                raise
            first = "Wait for it" if configuration.NOT_READY in error.missed[-1] else "Start it"
            raise NotConfigured(
                f"no API is known: {', '.join(error.missed)}. "
                f"{first}, or say where the API is: --url or GANGER_API_URL (and --token or GANGER_TOKEN)"
            ) from None


def _warn(ends: str) -> None:
    screen.note(
        f"the token ends on {ends[:16].replace('T', ' at ')} UTC; `ganger tokens rotate`, or an administrator, makes a new one"
    )
