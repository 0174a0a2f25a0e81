"""What is done to one job: cancel, requeue, hold, release, pin, by the API's own bulk actions on its id; and saying that it is done."""

from __future__ import annotations

import time
from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http import api_runtime, strict_json
from api.http.bulk import routes as bulk
from api.http.jobs import done
from api.http.jobs import routes as jobs
from api.ui import feed, forms
from api.ui.pages import PageAnswer, PageRequest, Pages
from scheduler.errors import InvalidInput, NotFound
from scheduler.jobs import bulk as operations
from scheduler.rules.lifecycle.states import OperationStatus

pages = Pages()

ACTS = {
    "cancel": bulk.cancel_jobs, "requeue": bulk.requeue_jobs, "hold": bulk.hold_jobs, "release": bulk.release_jobs,
    "pin": bulk.pin_jobs, "unpin": bulk.unpin_jobs,
}  # fmt: skip

LOOKS, LOOK_S = 20, 0.05


@pages.post("/ui/jobs/<id:job_id>/<act>")
def act_on_job(page: PageRequest, job_id: int, act: str) -> PageAnswer:
    """Do one thing to one job, then show it."""
    if act == "done":
        return _say_done(page, job_id)
    if act not in ACTS:
        raise NotFound("there is no such action")
    feed.ask(page, jobs.show_job, job_id=job_id)
    body: dict[str, Any] = {"job_id": [job_id]}
    if reason := request.form.get("reason", "").strip():
        body["reason"] = reason
    if act == "requeue" and (priority := request.form.get("priority", "").strip()):
        body["priority"] = forms.whole(priority)
    begun = feed.ask(page, ACTS[act], body=body)
    wait_for(page, begun["id"])
    return redirect(f"{request.script_root}/ui/jobs/{job_id}?done={act}", 303)


def _say_done(page: PageRequest, job_id: int) -> PageAnswer:
    """Say that a job is done, with the outputs that its followers are to have."""
    body: dict[str, Any] = {}
    try:
        if written := request.form.get("outputs", "").strip():
            body["outputs"] = strict_json.loads(written.encode())
    except InvalidInput:
        raise InvalidInput('the outputs are no JSON, such as {"area": 7}', field="outputs") from None
    if reason := request.form.get("reason", "").strip():
        body["reason"] = reason
    feed.ask(page, done.force_job, job_id=job_id, body=body)
    return redirect(f"{request.script_root}/ui/jobs/{job_id}?done=done", 303)


def wait_for(page: PageRequest, operation_id: int) -> None:
    """Wait a moment for the action, so that the page that follows shows what it has done; a busy queue of them goes on by itself."""
    if api_runtime.of_this_app().bulk_thread is None:
        while operations.step(page.rt):
            pass
    for _ in range(LOOKS):
        if operations.get(page.rt, page.caller, operation_id).status != OperationStatus.RUNNING:
            return
        time.sleep(LOOK_S)
