"""Submitting a job: a form made from its type, an answer beside the button while one types, and the same job once only."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from typing import Any

from flask import g, request
from werkzeug.utils import redirect

from api.http.job_types import routes as job_types
from api.http.jobs import routes as jobs
from api.ui import feed, forms
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import Fault, GangerError
from scheduler.identity import Role

pages = Pages()

KEPT = (
    "name",
    "project",
    "pool",
    "priority",
    "timeout",
    "max_tries",
    "cpus_required",
    "mem_required",
    "disk_out_required",
)


@pages.get("/ui/submit", role=Role.SUBMITTER)
def show_form(page: PageRequest) -> PageAnswer:
    """The form: of a plain command, of a job type, or of a job that is to run again with changes. Its address fills it in."""
    asked = request.args.to_dict()
    values: dict[str, str] = {name: value for name, value in asked.items() if not name.startswith("inputs.")}
    inputs: dict[str, Any] = {name[7:]: value for name, value in asked.items() if name.startswith("inputs.")}
    kind = asked.get("type", "")
    if again := asked.get("again"):
        kind, values, inputs = _again(page, again)
        values |= {name: asked[name] for name in KEPT if name in asked}
    return _form(page, kind, values, inputs)


@pages.post("/ui/submit", role=Role.SUBMITTER)
def submit(page: PageRequest) -> PageAnswer:
    """Submit the job, or only say what would become of it."""
    form = request.form.to_dict()
    kind = form.get("type", "")
    found = _type(page, kind)
    tried = form.get("try") == "1"
    try:
        body = forms.body(form, None if found is None else found["interface"])
        if found is not None:
            body["job_type_id"] = found["id"]
        if not tried:
            body["idempotency_key"] = form.get("key") or secrets.token_urlsafe(12)
        g.body = body
        answer = feed.ask(page, jobs.submit_jobs, query={"dry_run": "true"} if tried else {}, body=body)
    except GangerError as error:
        if tried:
            return PageView("parts/tried.html", {"faults": error.faults, "tried": None}, part="")
        return _form(page, kind, form, {}, error.faults)
    if tried:
        return PageView("parts/tried.html", {"faults": (), "tried": answer["results"][0]}, part="")
    return redirect(f"{request.script_root}/ui/jobs/{answer['id']}?done=submit", 303)


def _form(
    page: PageRequest, kind: str, values: Mapping[str, str], inputs: Mapping[str, Any], faults: tuple[Fault, ...] = ()
) -> PageView:
    found = _type(page, kind)
    kinds = feed.ask(page, job_types.list_job_types, query={"is_active": "true", "page_size": "500"})["results"]
    made = [] if found is None else forms.fields(found["interface"], inputs or _sent(values))
    return PageView("submit.html", {
        "kind": kind, "found": found, "kinds": [one for one in kinds if not one["is_system"]], "inputs": made, "values": values,
        "wrong": {one.field: one.sentence for one in faults}, "faults": faults, "key": values.get("key") or secrets.token_urlsafe(12),
    }, 400 if faults else 200)  # fmt: skip


def _sent(values: Mapping[str, str]) -> dict[str, Any]:
    """Return what was typed into the inputs: it stays, however wrong the rest is."""
    return {name[len(forms.PREFIX) :]: value for name, value in values.items() if name.startswith(forms.PREFIX)}


def _type(page: PageRequest, kind: str) -> Any:  # noqa: ANN401 - the document, as templates read it
    name, _, version = kind.rpartition("/")
    if not name:
        return None
    return feed.ask(page, job_types.show_job_type_by_name, name=name, version=version)


def _again(page: PageRequest, job_id: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return the form of a job that there is."""
    number = int(job_id) if job_id.isascii() and job_id.isdigit() and len(job_id) < 19 else 0  # noqa: PLR2004 - digits of a 64-bit number
    job = feed.ask(page, jobs.show_job, job_id=number)
    values = {name: "" if job.get(name) is None else _plain(job[name]) for name in KEPT}
    values["labels"] = " ".join(f"{key}={value}" for key, value in job["labels"].items())
    if job["job_type"]["is_system"]:
        values["command"] = shlex.join(job["command"])
        return "", values, {}
    inputs = {one["name"]: _value(one) for one in job["inputs"]}
    return f"{job['job_type']['name']}/{job['job_type']['version']}", values, inputs


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _value(one: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON value
    if one["type"] == "file":
        return None if one["value"] is None else one["value"]["id"]
    if one["type"] == "files":
        return [file["id"] for file in one["value"] or ()]
    return one["value"]
