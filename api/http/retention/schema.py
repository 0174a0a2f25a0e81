"""Requests and answers about purges."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.http.schema.fields import Body, Word

PurgedKind = Literal["jobs", "output", "files", "data-sets"]


class PurgeBody(Body):
    """A purge now; with `dry_run` only what it would delete, of one `project` or of all."""

    dry_run: bool = False
    project: Annotated[Word | None, Field(description="only with dry_run: a purge is of all projects")] = None


class DueView(TypedDict):
    """What is kept no longer: jobs of one status, the printed output of executions, output files, or deleted data sets."""

    project: str
    what: PurgedKind
    status: Annotated[str | None, Field(description="of jobs: how they ended")]
    count: int
    bytes: Annotated[int | None, Field(description="null for jobs")]
    oldest: Annotated[datetime, Field(description="the oldest last change")]


class PurgeView(TypedDict):
    """What a purge deletes; it goes on in the background."""

    dry_run: bool
    results: list[DueView]


class GoneView(TypedDict):
    """How much of a kind was purged of a project since the beginning, and when last."""

    project: Annotated[str | None, Field(description="null for a project that was deleted")]
    what: PurgedKind
    count: int
    bytes: int
    last: datetime


class GoneList(TypedDict):
    """What was purged so far, by project and kind."""

    purged: list[GoneView]
