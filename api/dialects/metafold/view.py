"""Ganger's projects, files and jobs as the objects of this dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from api.dialects.metafold.dates import DateForm
from api.dialects.metafold.schema import MetafoldAsset, MetafoldJob, MetafoldProject, MetafoldWorkflow, ValuesOfJob
from api.dialects.metafold.values import text_of
from scheduler.documents import DataEntry
from scheduler.search.jobs import FoundJob, file_ids
from scheduler.store.admin.file_summaries import FileSummary
from scheduler.store.admin.project_summaries import ProjectSummary
from scheduler.store.workflows.summaries import WorkflowSummary

STATES: Final[Mapping[str, str]] = {
    "pending": "WAITING",
    "started": "ACTIVE",
    "success": "COMPLETED",
    "failure": "FAILED",
    "canceled": "CANCELED",
}
"""The states of jobs, each with the stage that it stands for."""

WORKFLOW_STATES: Final[Mapping[str, str]] = {**STATES, "pending": "PENDING", "started": "RUNNING"}
"""The states of workflows, likewise."""

_WORDS = {stage: word for word, stage in STATES.items()}
ENDED = frozenset({"success", "failure", "canceled"})


def project(row: ProjectSummary, date: DateForm) -> MetafoldProject:
    """Return a project."""
    kept = row.attributes
    return {
        "id": str(row.id),
        "user": row.created_by,
        "name": row.title,
        "access": str(kept.get("access") or "private"),
        "created": date(row.created),
        "modified": date(row.last_modified),
        "type": str(kept.get("type") or "unspecified"),
        "thumbnail": None,
        "project": kept.get("project"),
        "graph": kept.get("graph"),
    }


def asset(row: FileSummary, date: DateForm) -> MetafoldAsset:
    """Return a file."""
    return {
        "id": str(row.id),
        "filename": row.file_name,
        "size": row.file_size,
        "checksum": f"sha256:{row.sha256}",
        "created": date(row.created),
        "modified": date(row.last_modified),
        "project_id": str(row.project_id),
        "job_id": None if row.job_id is None else str(row.job_id),
    }


def job(found: FoundJob, date: DateForm) -> MetafoldJob:
    """Return a job. Once it was shown as started it is never shown as waiting again, whatever it waits for."""
    row = found.job
    results = row.results if row.stage == "COMPLETED" else None
    inputs = _values(row.data.get("input_data", ()), found, date)
    outputs = _values(results.get("output_data", ()) if results else (), found, date)
    for name, value in (results.get("properties", {}) if results else {}).items():
        outputs["params"].setdefault(name, text_of(value))
    return {
        "id": str(row.id),
        "name": row.name,
        "type": row.type_name,
        "state": state(row.stage),
        "created": date(row.created),
        "started": None if row.started is None else date(row.started),
        "finished": None if row.ended is None else date(row.ended),
        "error": _error(row.error, row.message),
        "inputs": inputs,
        "outputs": outputs,
        "needs": [str(one) for one in row.needs],
        "project_id": str(row.project_id),
        "workflow_id": None if row.workflow_id is None else str(row.workflow_id),
        "assets": [*outputs["assets"].values()],
        "parameters": inputs["params"],
        "meta": outputs["params"],
    }


def workflow(row: WorkflowSummary, date: DateForm) -> MetafoldWorkflow:
    """Return a workflow."""
    return {
        "id": str(row.id),
        "state": next(word for word, inside in WORKFLOW_STATES.items() if inside == row.state),
        "created": date(row.created),
        "started": None if row.started is None else date(row.started),
        "finished": None if row.ended is None else date(row.ended),
        "definition": row.definition,
        "project_id": str(row.project_id),
        "jobs": [str(one) for one in row.jobs],
    }


def state(stage: str) -> str:
    """Return the word for a stage."""
    return _WORDS[stage]


def _values(entries: Sequence[DataEntry], found: FoundJob, date: DateForm) -> ValuesOfJob:
    values: ValuesOfJob = {"params": {}, "assets": {}}
    for entry in entries:
        name = entry["name"]
        if "value" in entry:
            values["params"][name] = text_of(entry["value"])
            continue
        files = [found.files[one] for one in file_ids(entry) if one in found.files]
        # These clients know one file a name: several of one name are told by their numbers.
        names = [name] if len(files) == 1 else [f"{name}.{number}" for number in range(len(files))]
        values["assets"] |= {called: asset(file, date) for called, file in zip(names, files, strict=True)}
    return values


def _error(title: str | None, message: str | None) -> str | None:
    if title is None:
        return None
    return f"{title}: {message}" if message and message != title else title
