"""Requests and answers about tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, ChangeBody, Moment, QueryBool, QueryId, Title, Word

RoleWord = Literal["viewer", "submitter", "operator", "admin"]
Kind = Literal["user", "node"]
Name = Annotated[Title, Field(min_length=1)]


NodePattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\*?$|^\*$")]
Words = Annotated[list[Word], Field(min_length=1, max_length=100)]


class TokensQuery(OrderedQuery):
    """A list of tokens. Repeat a parameter for alternatives."""

    id: list[QueryId] = []
    name: list[str] = []
    kind: list[Kind] = []
    role: list[RoleWord] = []
    project: list[str] = []
    is_valid: QueryBool | None = None


class TokenBody(Body):
    """A new token: of a user, with a role, for one project or all; or a join token, by which nodes get credentials of their own."""

    name: Name
    kind: Kind = "user"
    role: Annotated[RoleWord | None, Field(description="of a user's token")] = None
    project: Annotated[Word | None, Field(description="null is every project")] = None
    expires: Moment | None = None
    nodes: Annotated[
        Annotated[list[NodePattern], Field(min_length=1, max_length=100)] | None,
        Field(description="names of the nodes that may join with it; `gpu-*` is a prefix"),
    ] = None
    pools: Annotated[Words | None, Field(description="pools that nodes may join with it")] = None
    projects: Annotated[Words | None, Field(description="projects whose jobs such nodes get; null is all")] = None


class TokenChange(ChangeBody):
    """Changes to a token; a field that is left out stays as it is."""

    name: Name = LEFT_OUT
    expires: Annotated[Moment | None, Field(description="null is never")] = None


Overlap = Annotated[
    int, Field(ge=0, le=7 * 24 * 3600, description="seconds for which the token before is taken beside the new one")
]


class OwnRotationBody(Body):
    """Changes the caller's own token for another one."""

    overlap_s: Overlap = 0


class RotationBody(OwnRotationBody):
    """Changes a token for another one."""

    expires: Annotated[
        Moment | None, Field(description="when the new one ends; null is when the one before would have")
    ] = None


class TokenView(TypedDict):
    """A token, without the secret."""

    id: int
    name: str
    kind: Kind
    role: RoleWord | None
    project: str | None
    nodes: Annotated[list[str] | None, "of a join token: the names of the nodes that it lets in; null is all"]
    pools: list[str] | None
    projects: Annotated[list[str] | None, "of a join token: whose jobs its nodes get; null is everybody's"]
    is_valid: bool
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: Annotated[datetime | None, Field(description="to the minute")]


class NewToken(TokenView):
    """A token with its secret, which is shown this once."""

    token: str


class TokenList(ListOf):
    """A page of tokens."""

    results: list[TokenView]
