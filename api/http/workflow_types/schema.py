"""Named definitions of workflows: requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, QueryBool, Word

MOST_TEXT = 32 * 1024 * 1024
"""Longest definition: YAML is held to less where it is read, JSON and JSON lines are not."""

Definition = Annotated[
    Annotated[str, StringConstraints(max_length=MOST_TEXT)] | dict[str, Any],
    Field(description="see docs/workflows.md; every error is told at once, of a text by line and column"),
]

_EXAMPLE = "jobs:\n  split: {command: [split, airports.csv]}\n  merge: {command: [merge], needs: [split]}\n"


class WorkflowRevisionBody(Body):
    """A new revision of a named definition: a text (YAML 1.2 or JSON), or JSON itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"definition": _EXAMPLE}]})

    definition: Definition


class WorkflowTypeBody(WorkflowRevisionBody):
    """A definition to save under a name of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "airports", "definition": _EXAMPLE}]})

    name: Word
    project: Word = LEFT_OUT


class WorkflowTypesQuery(OrderedQuery):
    """Which named definitions."""

    name: list[str] = Field(default=[], description="of these names")
    archived: QueryBool = Field(default=False, description="also those that were archived")


class WorkflowTypeInList(TypedDict):
    """A named definition as lists show it."""

    id: int
    name: str
    project: str
    revision: Annotated[int, Field(description="the number of the newest one, which a run gets that names none")]
    archived: datetime | None
    created: datetime
    last_modified: datetime


class WorkflowTypeView(WorkflowTypeInList):
    """A named definition with the text of one revision."""

    definition: Annotated[str, Field(description="of the revision that was asked for, else the newest")]
    definition_revision: int
    revised: datetime
    revised_by: str | None


class WorkflowTypeList(ListOf):
    """A page of named definitions."""

    results: list[WorkflowTypeInList]


class WorkflowRevisionView(TypedDict):
    """A revision in short."""

    revision: int
    created: datetime
    created_by: str | None


class WorkflowRevisionList(ListOf):
    """A page of revisions, the newest first."""

    results: list[WorkflowRevisionView]
