"""`ganger tokens`: who may do what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ganger.cli import screen
from ganger.cli.admin.fields import moment_in, seconds_in
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import records

tokens = typer.Typer(help="List, make, change and revoke tokens of users and nodes.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "KIND", "ROLE", "PROJECT", "STATE", "EXPIRES", "LAST USED")
LATE = timedelta(days=14)
Role = Annotated[
    Literal["viewer", "submitter", "operator", "admin"] | None, typer.Option(help="What a user may do with it.")
]


@tokens.command("list")
@expanded
def list_tokens(*, as_json: Json = False, connection: Connection) -> None:
    """List tokens; their secrets are shown nowhere.

    [bold]ganger tokens[/]
    """
    with connection.client() as api:
        tokens_listed = api.tokens.list()
        if as_json:
            for token in tokens_listed:
                screen.line(token.document)
            return
        screen.table(HEADINGS, (_row(token) for token in tokens_listed), empty="no tokens")


@tokens.command("create")
@expanded
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for people; of a node its name.")],
    *,
    role: Role = None,
    project: Annotated[
        list[str] | None,
        typer.Option(help="Only for this project; of a node whose jobs it gets, repeatable. Default: every project."),
    ] = None,
    node: Annotated[
        bool, typer.Option("--node", help="A join token: NAME is the node's, or a prefix such as gpu-*.")
    ] = False,
    pool: Annotated[
        list[str] | None, typer.Option(help="A join token for nodes of any name in this pool; repeatable.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When it ends: 90d, 12h, or a date. Default: never.")
    ] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a token and print it, this once.

    [bold]ganger tokens create --role submitter --project maps alice[/]

    [bold]ganger tokens create --role viewer --expires 90d dashboard[/]

    [bold]ganger tokens create --node n1 > n1.token[/]

    [bold]ganger worker --name n1 --token-file n1.token[/]

    [bold]ganger tokens create --node --pool burst --expires 1d burst-nodes[/]
    """
    if node == (role is not None):
        raise UsageError("a user's token needs --role, a node's needs --node and no role")
    if not node and (pool or len(project or ()) > 1):
        raise UsageError("a user's token is for one project or for every, and for no pool")
    until = None if expires is None else moment_in(expires)
    with connection.client() as api:
        if node:
            names = None if pool else [name]
            made = api.tokens.create(
                name, kind="node", expires=until, nodes=names, pools=pool or None, projects=project or None
            )
        else:
            made = api.tokens.create(name, role=role, project=project[0] if project else None, expires=until)
    if as_json:
        screen.document(made.document)
    else:
        screen.text(made.secret or "")


@tokens.command("rotate")
@expanded
def rotate(
    token_id: Annotated[
        int | None,
        typer.Argument(metavar="[ID]", min=1, help="The token's id. Default: the token that this command uses."),
    ] = None,
    *,
    overlap: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="How long the one before is taken too: 1h, 30m. Default: not at all."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When the new one ends: 90d, or a date. Default: as before.")
    ] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Change a token for a new one with the same rights, and print it, this once.

    [bold]ganger tokens rotate --overlap 1h > token.new[/]

    [bold]ganger tokens rotate 7 --expires 90d[/]
    """
    if token_id is None and expires is not None:
        raise UsageError("only an administrator says when a token ends: name its ID")
    until, overlap_s = None if expires is None else moment_in(expires), 0 if overlap is None else seconds_in(overlap)
    with connection.client() as api:
        made = api.tokens.rotate(token_id, overlap_s=overlap_s, expires=until)
    if as_json:
        screen.document(made.document)
    else:
        screen.text(made.secret or "")


@tokens.command("revoke")
@expanded
def revoke(
    token_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="The token's id.")],
    *,
    connection: Connection,
) -> None:
    """Take a token away for good.

    [bold]ganger tokens revoke 3[/]
    """
    with connection.client() as api:
        api.tokens.revoke(token_id)
    screen.text(f"token {token_id} revoked")


def _row(token: records.Token) -> tuple[object, ...]:
    state = "valid" if token.is_valid else "not valid"
    if token.is_valid and token.expires is not None and token.expires - datetime.now(UTC) < LATE:
        state = "ends soon"
    whose = token.project or ", ".join(token.projects or ()) or "all"
    ends = "never" if token.expires is None else screen.moment(token.expires)
    return (token.id, token.name, token.kind, token.role, whose, state, ends, screen.moment(token.last_used))
