"""What this dialect sends and answers."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict
from typing_extensions import TypedDict

from api.dialects.problems import TitledProblem
from api.http.schema.fields import Body
from scheduler.documents import Document

ComputeStatus: TypeAlias = Literal["requested", "in progress", "succeeded", "failed", "cancelling", "cancelled"]


class TaskBody(Body):
    """The parameters of a task; other keys are welcome, and mean nothing."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    parameters: dict[str, Any]


class TaskStatusView(TypedDict):
    """Where a job stands: how far its program says it is, and why it failed."""

    status: ComputeStatus
    progress: NotRequired[int]
    message: NotRequired[str]
    error: NotRequired[TitledProblem]


class TaskResultView(TypedDict):
    """The end of a job: its results, or why there are none."""

    status: ComputeStatus
    results: NotRequired[Document]
    error: NotRequired[TitledProblem]
