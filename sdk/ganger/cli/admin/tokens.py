"""`ganger tokens`: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import records

tokens = typer.Typer(help="List, make and revoke tokens of users and nodes.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "KIND", "ROLE", "PROJECT", "STATE", "LAST USED")
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
    project: Annotated[str | None, typer.Option(help="Only for this project. Default: every project.")] = None,
    node: Annotated[bool, typer.Option("--node", help="A token for a node, not for a user.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a token and print it, this once.

    [bold]ganger tokens create --role submitter --project maps alice[/]

    [bold]ganger tokens create --node n1 > n1.token[/]

    [bold]ganger worker --name n1 --token-file n1.token[/]
    """
    if node == (role is not None):
        raise UsageError("a user's token needs --role, a node's needs --node and no role")
    with connection.client() as api:
        made = api.tokens.create(name, kind="node" if node else "user", role=role, project=project)
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
    return (token.id, token.name, token.kind, token.role, token.project or "all", state, screen.moment(token.last_used))
