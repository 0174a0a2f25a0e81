"""Answers to submissions: the jobs that an array made, the results of a dry run, and warnings."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from scheduler.explain.explanation_json import SubmitWarning, TriedView


class DryRunAnswer(TypedDict):
    """The results of a dry run, job by job; nothing was made."""

    dry_run: bool
    count: int
    results: list[TriedView]


class Warnings(TypedDict):
    """Likely mistakes in jobs that were made."""

    warnings: NotRequired[
        Annotated[list[SubmitWarning], Field(default=[], description="left out where there are none")]
    ]


class _Ids(TypedDict):
    count: int
    job_ids: list[int]


class CreatedJobs(_Ids, Warnings):
    """The jobs that an array made, in its order."""
