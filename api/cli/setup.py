"""`ganger setup`: what has to be done once before the roles start, and again after an upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.expected import reported
from ganger.cli import screen
from ganger.cli.quantities import seconds


@reported
def setup(
    *,
    admin_token: Annotated[
        Path | None, typer.Option(help="File with an administrator's token; made if it is missing.")
    ] = None,
    viewer_token: Annotated[
        Path | None, typer.Option(help="File with a token that may only read, for monitoring; made if it is missing.")
    ] = None,
    node_token: Annotated[Path | None, typer.Option(help="File with a token for nodes; made if it is missing.")] = None,
    secrets_key: Annotated[
        Path | None, typer.Option(help="File with the key that secrets are encrypted with; made if it is missing.")
    ] = None,
    drop_lost_secrets: Annotated[
        bool, typer.Option("--drop-lost-secrets", help="Delete secrets whose key is lost for good.")
    ] = False,
    wait: Annotated[
        float, typer.Option(parser=seconds, metavar="TIME", help="Wait so long for the database: seconds, or 5m.")
    ] = 60.0,
) -> None:
    """Bring the database's schema up to date, and see that the first tokens are valid. Needs GANGER_DATABASE_URL.

    Safe to repeat; run it before the roles of a new release start. `ganger up` does it by itself.

    [bold]ganger setup --admin-token admin.token --node-token node.token[/]
    """
    from api import serve  # noqa: PLC0415 - only here
    from api.http.serving import keyring_source  # noqa: PLC0415 - only here
    from scheduler.admin import setup as server_setup  # noqa: PLC0415 - likewise
    from scheduler.settings import read_settings  # noqa: PLC0415 - likewise

    url = serve.database_url()
    server_setup.set_up(
        url,
        admin=admin_token,
        viewer=viewer_token,
        node=node_token,
        secrets_key=secrets_key,
        within_s=wait,
        say=screen.note,
    )
    if drop_lost_secrets:
        server_setup.drop_lost_secrets(url, keyring_source.given(read_settings()), screen.note)
