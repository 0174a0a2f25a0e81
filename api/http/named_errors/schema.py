"""Requests and answers about named errors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.http.paging import OrderedQuery
from api.http.schema.answers import ListOf
from api.http.schema.fields import LEFT_OUT, Body, Bound, ChangeBody, Prose, QueryBool, QueryId, Title, Word
from api.http.schema.words import CategoryWord

OwnCategory = Literal["DATA", "ALGORITHM"]
"""SYSTEM is for the platform's own errors."""


class ErrorsQuery(OrderedQuery):
    """A list of errors. Repeat a parameter for alternatives; times are of `last_modified`."""

    started: Bound | None = None
    ended: Bound | None = None
    id: list[QueryId] = []
    name: list[str] = []
    category: list[CategoryWord] = []
    is_builtin: QueryBool | None = None
    project: list[str] = []


class ErrorChange(ChangeBody):
    """Changes to an error; a field that is left out stays as it is. Built-in errors cannot be changed."""

    title: Title = LEFT_OUT
    description: Prose = LEFT_OUT
    category: OwnCategory = LEFT_OUT
    should_be_retried: bool = LEFT_OUT


class ErrorBody(Body):
    """A new error. Only the platform's own have the category SYSTEM."""

    name: Word
    title: Title
    description: Prose = ""
    category: OwnCategory
    should_be_retried: bool = True
    project: Annotated[
        Word | None, Field(description="the owner; null is the token's project, else the installation")
    ] = None


class ErrorView(TypedDict):
    """A named error."""

    id: int
    name: str
    title: str
    description: str
    category: str
    is_builtin: bool
    should_be_retried: bool


class ErrorDetail(ErrorView):
    """A named error; `project` owns it, null is the installation."""

    project: str | None
    created: datetime
    last_modified: datetime


class ErrorList(ListOf):
    """A page of errors."""

    results: list[ErrorDetail]
