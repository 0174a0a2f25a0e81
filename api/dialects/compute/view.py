"""Jobs in this dialect's words: six statuses, none of which is ever stepped back from, progress, results and problems."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, cast

from api.dialects import problems
from api.dialects.compute.schema import ComputeStatus, TaskResultView, TaskStatusView
from api.dialects.problems import TitledProblem
from api.http.links import blobs, signed
from scheduler.documents import Document, JsonValue
from scheduler.jobs.queries import FullJob
from scheduler.rules.lifecycle.moves import LIVE_EXECUTION, ExecutionStatus, JobStatus
from scheduler.runtime import Runtime

OVER: Final = frozenset({"succeeded", "failed", "cancelled"})

_ENDED: dict[JobStatus, ComputeStatus] = {JobStatus.COMPLETED: "succeeded", JobStatus.FAILED: "failed"}
_BY_CATEGORY = {"DATA": HTTPStatus.UNPROCESSABLE_ENTITY, "SYSTEM": HTTPStatus.SERVICE_UNAVAILABLE}
_TIMEOUTS = frozenset({"timeout", "pre-timeout", "post-timeout"})


def status(found: FullJob) -> ComputeStatus:
    """Return where a job stands. Between its tries it is in progress, and until its processes are dead it is being cancelled."""
    stands = JobStatus(found.row.status)
    if stands in _ENDED:
        return _ENDED[stands]
    if stands is JobStatus.CANCELED:
        is_alive = any(ExecutionStatus(one.status) in LIVE_EXECUTION for one in found.executions)
        return "cancelling" if is_alive else "cancelled"
    return "in progress" if found.row.attempt > 0 else "requested"


def progress(found: FullJob) -> TaskStatusView:
    """Return a job as its status call shows it; unknown progress is left out."""
    shown: TaskStatusView = {"status": status(found)}
    if found.row.percent is not None:
        shown["progress"] = int(found.row.percent)
    if found.row.note:
        shown["message"] = found.row.note
    if shown["status"] == "failed":
        shown["error"] = error(found)
    return shown


def results(rt: Runtime, found: FullJob) -> TaskResultView:
    """Return the end of a job, or where it stands while it has not ended."""
    stands = status(found)
    if stands == "succeeded":
        return {"status": stands, "results": _results(rt, found)}
    return {"status": stands, "error": error(found)} if stands in OVER else {"status": stands}


def error(found: FullJob) -> TitledProblem:
    """Return why a job has no results."""
    row = found.row
    if row.status == JobStatus.CANCELED:
        return problems.problem(HTTPStatus.CONFLICT, "canceled", "the job was cancelled", "Cancelled")
    name = row.error_name or "unknown"
    code = HTTPStatus.GATEWAY_TIMEOUT if name in _TIMEOUTS else _BY_CATEGORY.get(row.error_category or "", _OTHERWISE)
    return problems.problem(code, name, row.message or row.error_title or name, row.error_title or name)


_OTHERWISE = HTTPStatus.INTERNAL_SERVER_ERROR


def _results(rt: Runtime, found: FullJob) -> Document:
    made = found.more.results or {}
    shown: Document = dict(made.get("properties", {}))
    kinds = {one.name: one.type for one in found.definition.interface.outputs}
    for entry in made.get("output_data", ()):
        if "value" in entry:
            shown[entry["name"]] = entry["value"]
            continue
        file_id = entry.get("file_id")
        ids = entry.get("file_ids", []) if file_id is None else [file_id]
        files: list[JsonValue] = [_file(rt, found, one) for one in ids if one in found.files]
        shown[entry["name"]] = files if kinds.get(entry["name"]) == "files" else (files[0] if files else None)
    return shown


def _file(rt: Runtime, found: FullJob, file_id: int) -> Document:
    file = found.files[file_id]
    link = blobs.download_link(rt, file.uuid) if signed.can_sign(rt) else None
    shown = {
        "file_name": file.file_name,
        "media_type": file.media_type,
        "size": file.file_size,
        "sha256": file.sha256,
        "download_url": link,
    }
    return cast("Document", shown)
