"""Requests and answers about workspaces."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, ChangeBody, QueryBool, QueryId, Title, Word

_URL = (
    r"^(?:file://(?:localhost)?/[^\x00-\x20\x7f]*|s3://[a-z0-9][a-z0-9.-]{2,62}(?:/[^\x00-\x20\x7f]*)?"
    r"|https?://[^\x00-\x20\x7f/]+(?:/[^\x00-\x20\x7f]*)?)$"
)
Url = Annotated[str, StringConstraints(max_length=2_000, pattern=_URL)]
"""Where a workspace's files lie: file:/// and a folder, s3://bucket/prefix, or http(s)://host/folder to read only."""

Projects = Annotated[
    list[Word], Field(max_length=1_000, description="projects whose files may be put there; null: those of all")
]
RegisterRole = Annotated[
    Literal["submitter", "operator", "admin"],
    Field(description="the least role that may register content that lies there already"),
]


class WorkspacesQuery(OrderedQuery):
    """A list of workspaces. Repeat a parameter for alternatives."""

    id: list[QueryId] = []
    name: list[str] = []
    is_active: QueryBool | None = None


class WorkspaceChange(ChangeBody):
    """Changes to a workspace; a field that is left out stays as it is. Files are not moved when the url changes."""

    title: Title = LEFT_OUT
    url: Url = LEFT_OUT
    is_active: bool = LEFT_OUT
    is_default: Annotated[bool, Field(description="true makes it the default in place of the one that was")] = LEFT_OUT
    projects: Projects | None = None
    register_role: RegisterRole = LEFT_OUT


class WorkspaceBody(Body):
    """A new workspace. Its folder has to be there, within a root of GANGER_WORKSPACE_ROOTS, and the API must be able to write it."""

    name: Word
    title: Title = ""
    url: Url
    is_active: bool = True
    is_default: bool = False
    projects: Projects | None = None
    register_role: RegisterRole = "operator"


class WorkspaceView(TypedDict):
    """Where files lie."""

    id: int
    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool
    projects: list[str] | None
    register_role: str
    created: datetime
    last_modified: datetime


class WorkspaceList(ListOf):
    """A page of workspaces."""

    results: list[WorkspaceView]
