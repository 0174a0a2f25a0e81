"""Requests and answers about tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, ChangeBody, Moment, QueryBool, QueryId, Title, Word

RoleWord = Literal["viewer", "submitter", "operator", "admin"]
Kind = Literal["user", "node"]
Name = Annotated[Title, Field(min_length=1)]


class TokensQuery(OrderedQuery):
    """A list of tokens. Repeat a parameter for alternatives."""

    id: list[QueryId] = []
    name: list[str] = []
    kind: list[Kind] = []
    role: list[RoleWord] = []
    project: list[str] = []
    is_valid: QueryBool | None = None


class TokenBody(Body):
    """A new token: of a user, with a role, for one project or all; or of a node."""

    name: Name
    kind: Kind = "user"
    role: Annotated[RoleWord | None, Field(description="of a user's token")] = None
    project: Annotated[Word | None, Field(description="null is every project")] = None
    expires: Moment | None = None


class TokenChange(ChangeBody):
    """Changes to a token; a field that is left out stays as it is."""

    name: Name = LEFT_OUT
    expires: Annotated[Moment | None, Field(description="null is never")] = None


class TokenView(TypedDict):
    """A token, without the secret."""

    id: int
    name: str
    kind: Kind
    role: RoleWord | None
    project: str | None
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
