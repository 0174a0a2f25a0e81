"""The jobs of block models: how one is doing, in five statuses and no sixth, and the word that its file is uploaded."""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import TypedDict

from api.dialects import problems
from api.dialects.blockmodel import place, upload, view
from api.dialects.problems import TitledProblem
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from scheduler.data_sets import working
from scheduler.identity import Role
from scheduler.rules.data_sets.words import DataSetWork
from scheduler.rules.lifecycle.failures import FailureCategory
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.store.data_sets.jobs import DataSetJob, DataSetJobState
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow

routes = Routes("block model jobs")

PENDING_UPLOAD, QUEUED, PROCESSING, COMPLETE, FAILED = "PENDING_UPLOAD", "QUEUED", "PROCESSING", "COMPLETE", "FAILED"
_ENDED: Final = {JobStatus.COMPLETED: COMPLETE, JobStatus.FAILED: FAILED, JobStatus.CANCELED: FAILED}


class JobUrlView(TypedDict):
    """The address of a job."""

    job_url: str


@routes.get(f"{place.MODEL}/jobs/<job>", role=Role.VIEWER, any_query=True)
def get_block_model_job(call: ApiCall, org: str, workspace: str, model: str, job: str) -> dict[str, Any]:
    """How a job is doing; with its outcome once it has ended, and the address for its file while it awaits one."""
    row = place.model(call, org, workspace, model)
    found, state, version = working.find(call.rt, row, place.uuid(job, "job"))
    status = _status(state)
    payload = _payload(call, row, found, state, version, status)
    return {"job_status": status} if payload is None else {"job_status": status, "payload": payload}


@routes.post(f"{place.MODEL}/jobs/<job>/uploaded", role=Role.SUBMITTER, any_query=True)
def notify_upload_complete(call: ApiCall, org: str, workspace: str, model: str, job: str) -> Answer[JobUrlView]:
    """Say that the file of a job is uploaded, or that it may begin without one. Saying it again changes nothing."""
    row = place.model(call, org, workspace, model)
    found, _, _ = working.find(call.rt, row, place.uuid(job, "job"))
    upload.done(call, found.job_id)
    return Answer({"job_url": place.job_url(call, row.project_uuid, row.uuid, found.job_uuid)}, 201)


def _status(state: DataSetJobState) -> str:
    """Return the status as the client knows it. A job that was ever started is PROCESSING until it ends, also between tries."""
    status = JobStatus(state.status)
    if status in _ENDED:
        return _ENDED[status]
    if status is JobStatus.PENDING_UPLOAD:
        return PENDING_UPLOAD
    return PROCESSING if status is JobStatus.RUNNING or state.was_started else QUEUED


def _payload(
    call: ApiCall, row: DataSetRow, job: DataSetJob, state: DataSetJobState, version: VersionRow | None, status: str
) -> object:
    if status == PENDING_UPLOAD:
        address = upload.address(call, job.job_id)
        return None if address is None else {"upload_url": address}
    if status == FAILED:
        return failure(job, state)
    if status != COMPLETE:
        return None
    if job.work == DataSetWork.QUERY:
        return {"download_url": upload.download(call, state.output_file)}
    if job.work == DataSetWork.REPORT:
        return _run(row, job)
    assert version is not None  # noqa: S101 - made in the transaction that completed the job
    return view.version(version, row.uuid)


def _run(row: DataSetRow, job: DataSetJob) -> dict[str, Any]:
    asked = job.request
    return {
        "bm_uuid": row.uuid,
        "report_result_uuid": asked["result_uuid"],
        "report_specification_uuid": asked["specification_uuid"],
        "version_id": asked["version"],
        "version_uuid": job.version_uuid,
    }


def failure(job: DataSetJob, state: DataSetJobState) -> TitledProblem:
    """Return the problem that stands for a job which failed or was canceled."""
    if state.status == JobStatus.CANCELED:
        sentence = state.reason or "somebody does not want it any more"
        return problems.problem(409, "canceled", f"The job was canceled: {sentence}", "Canceled")
    if job.problem is not None:
        title, detail = str(job.problem["title"]), str(job.problem["detail"])
        return problems.problem(400, state.error or "refused-data", detail, title)
    code = 400 if state.category == FailureCategory.DATA else 500
    detail = state.message or (state.reason or "the job failed").removeprefix(f"{state.error}: ")
    return problems.problem(code, state.error or "unknown", detail, state.error_title or "Failed")
