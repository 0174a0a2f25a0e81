"""Requests and answers about whoever asks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from api.http.schema.fields import Body
from api.http.tokens.schema import RoleWord
from scheduler.admin.sessions import LONGEST_CODE_S


class MeView(TypedDict):
    """Whoever asks: the name, the rights and the end of the token, and what is given to this caller."""

    token_id: int
    name: str
    role: RoleWord
    project: Annotated[str | None, Field(description="the only project that the token reaches; null is every project")]
    expires: datetime | None
    organization: Annotated[UUID, Field(description="this installation, in the block model and compute API")]
    workspace: Annotated[UUID | None, Field(description="the project there; null is every project")]


class SessionView(TypedDict):
    """A browser that signed in with the caller's token."""

    id: int
    browser: str
    created: datetime
    seen: Annotated[datetime, Field(description="to the minute")]
    ends: Annotated[datetime, Field(description="in any case; earlier when it is not used, or the token ends")]


class SessionList(TypedDict):
    """The caller's sessions, the last used first."""

    results: list[SessionView]


class LoginCodeBody(Body):
    """A one-time code that signs a browser in with the rights of this token."""

    valid_s: Annotated[int, Field(ge=1, le=LONGEST_CODE_S, description="within so many seconds")] = 60


class LoginCode(TypedDict):
    """The code, shown this once, and the page that takes it."""

    code: str
    url: Annotated[str, Field(description="the page with the code in its fragment, which no server ever logs")]
    valid_s: int
