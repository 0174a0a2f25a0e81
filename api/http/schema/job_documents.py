"""The documents within answers about jobs: interface, data, results, and the event that made a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NotRequired

from pydantic import Field, JsonValue
from typing_extensions import TypedDict


class InputView(TypedDict):
    """A declared input."""

    name: str
    type: str
    required: bool
    media_types: list[str]
    schema: Mapping[str, JsonValue] | None
    default: JsonValue


class OutputView(TypedDict):
    """A declared output."""

    name: str
    type: str
    required: bool
    media_type: str | None
    glob: str | None
    schema: Mapping[str, JsonValue] | None


class InterfaceView(TypedDict):
    """The inputs and outputs of a type, in the documented form."""

    version: str
    input_data: Sequence[InputView]
    output_data: Sequence[OutputView]


class InterfaceWithCommand(InterfaceView):
    """The inputs and outputs of a type with its command: the program, and its arguments as one text."""

    command: str
    command_arguments: str


class DataEntryView(TypedDict):
    """An input or output by name: a value, a file, or files; `workspace_id` is where an output goes."""

    name: str
    value: NotRequired[JsonValue]
    file_id: NotRequired[int]
    file_ids: NotRequired[list[int]]
    workspace_id: NotRequired[int]


class DataView(TypedDict):
    """The data of a job, in the documented form."""

    version: str
    input_data: Sequence[DataEntryView]
    output_data: Sequence[DataEntryView]


class ResultsView(TypedDict):
    """The results of a job, in the documented form, and the properties that its program set."""

    version: str
    output_data: Sequence[DataEntryView]
    properties: Mapping[str, JsonValue]


class RuleReference(TypedDict):
    """A rule that made a job. Ganger has none: the field is for clients that read it."""

    id: int


class EventInShort(TypedDict):
    """The event that made a job: one submission, whose jobs all have the same."""

    id: int
    type: Annotated[str, Field(description="USER: somebody submitted it")]
    rule: RuleReference | None
    occurred: datetime


class EventDescription(TypedDict):
    """Who submitted, and how many jobs."""

    user: NotRequired[str | None]
    jobs: NotRequired[int]


class EventOfDetail(EventInShort):
    """The event that made a job, with what is known of it."""

    description: EventDescription


class RecipeView(TypedDict):
    """A recipe that a job is part of. Ganger has none: the list is empty."""

    id: int
