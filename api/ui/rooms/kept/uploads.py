"""What a job awaits, sent from its page: a file for each input, and the word that all has come."""

from __future__ import annotations

from flask import request
from werkzeug.utils import redirect

from api.http.auth import TokenWatch
from api.http.jobs import routes as jobs
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages
from scheduler.errors import InvalidInput, NotFound
from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import queries
from scheduler.rules.job_type import awaited
from scheduler.uploads import content

pages = Pages()

PIECE = 256 * 1024


@pages.post("/ui/jobs/<id:job_id>/upload", role=Role.SUBMITTER, takes_file=True)
def send_input(page: PageRequest, job_id: int) -> PageAnswer:
    """Take a file for one input that a job awaits, in place of one that has come before."""
    name = request.form.get("input", "")
    found = queries.job(page.rt, page.caller, JobId(job_id)).uploads
    row = next((one for one in found if one.name == name), None)
    if row is None:
        raise NotFound(f"the job awaits no input {name[:60]!r}")
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        raise InvalidInput("choose a file", field="file")
    pieces = TokenWatch(page.rt).over(iter(lambda: sent.stream.read(PIECE), b""))
    content.put(page.rt, row, pieces, awaited.said(sent.content_type or ""))
    return redirect(f"{request.script_root}/ui/jobs/{job_id}?done=upload#awaits", 303)


@pages.post("/ui/jobs/<id:job_id>/uploaded", role=Role.SUBMITTER)
def tell_uploaded(page: PageRequest, job_id: int) -> PageAnswer:
    """Say that all has come: the job is queued, or fails for what is missing."""
    feed.ask(page, jobs.tell_uploaded, job_id=job_id)
    return redirect(f"{request.script_root}/ui/jobs/{job_id}?done=uploaded", 303)
