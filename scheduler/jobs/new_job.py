"""A job that somebody asks for, and what it shares with the others of its group.

A batch is prepared by groups: jobs that differ only in what is each job's own, such as name and data, are resolved and checked
once and share the columns of one row. A field of `NewJob` tells groups apart unless it is named in one of the two sets below.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import cast

import orjson

from scheduler.documents import ConstraintDocument, DataEntry, Document
from scheduler.identifiers import JobTypeId, RevisionId
from scheduler.needs.new_needs import NewNeed, NewWire
from scheduler.rules.job_type.awaited import AwaitedInput


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is asked for; None is what the job type says. Amounts are thousandths, durations seconds."""

    project: str | None = None
    job_type_id: JobTypeId | None = None
    type_name: str | None = None
    type_version: str | None = None
    command: list[str] | None = None
    data: Document | None = None
    inputs: Document | None = None
    name: str | None = None
    priority: int | None = None
    timeout_s: int | None = None
    max_tries: int | None = None
    cpus: int | None = None
    mem: int | None = None
    disk_out: int | None = None
    custom: dict[str, int] | None = None
    pool: str | None = None
    constraints: list[ConstraintDocument] | None = None
    environment: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    not_before: datetime | None = None
    held: bool = False
    hold_reason: str | None = None
    count: int = 1
    """Members; more than one makes it a gang, placed wholly or not at all."""
    serial: int | None = None
    """Jobs with the same number run one after the other: those that change one data set."""
    overrides: Document | None = None
    """More that the job says over its type: the fields of `rules.job_type.definition.JobOverrides`, and `secrets`."""
    needs: list[NewNeed] | None = None
    wiring: dict[str, NewWire] | None = None
    """The inputs that it takes from what it needs, by name."""
    conditions: list[Document] | None = None
    """What must hold for it to run, once its needs are satisfied: see `rules.workflow.supply`."""
    expansion: Document | None = None
    """It stands for as many jobs as an output of what it needs has values: see `scheduler.resolver.expansion`."""
    needs_within_s: int | None = None
    """So long it waits for its needs at most, from when it begins to wait; then it fails."""
    cache: Document | None = None
    """It may be done with the results of another job: see `rules.workflow.reuse`."""
    key: str | None = None
    """A name within its batch, for the needs of others."""
    group: str | None = None
    """The group of jobs that it belongs to: those of its batch with the same word."""
    parent_job_id: int | None = None
    """The job that submits it: see `scheduler.needs.children`."""
    awaits: list[AwaitedInput] | None = None
    """Inputs that will be uploaded before it is queued."""

    @property
    def given_inputs(self) -> frozenset[str]:
        """The names of the inputs that it says something of."""
        entries = cast("list[DataEntry]", (self.data or {}).get("input_data") or [])
        return frozenset(self.inputs or ()) | {entry["name"] for entry in entries}


OF_EACH_JOB = frozenset(
    {
        "name",
        "data",
        "inputs",
        "environment",
        "labels",
        "needs",
        "wiring",
        "conditions",
        "expansion",
        "needs_within_s",
        "cache",
        "key",
        "group",
        "parent_job_id",
    }
)
"""The fields that are stored for each job by itself. The size of the inputs, which amounts follow from, is part of the key,
and so is whether it needs any other."""

RESOLVED = frozenset({"project", "job_type_id", "type_name", "type_version"})
"""The fields that have become something else by then: a request has one project, and the type is a revision."""

SHARED = tuple(each.name for each in fields(NewJob) if each.name not in OF_EACH_JOB | RESOLVED)
_shared = attrgetter(*SHARED)


def group_key(job: NewJob, revision_id: RevisionId, input_mib: int) -> bytes:
    """Return what tells the groups of a batch apart: jobs with equal keys have the same shape and the same columns."""
    return orjson.dumps((revision_id, input_mib, bool(job.needs or job.conditions or job.cache), _shared(job)))
