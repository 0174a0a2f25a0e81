"""What would let a job start: each change tried, so that one sees what would become of the job, and done where the role reaches.

A change of the installation is made by the route that is there for it; a change of what the job asks for leads to the form of the same
job, filled in with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.bulk import routes as bulk
from api.http.job_types import routes as job_types
from api.http.jobs import routes as jobs
from api.http.nodes import routes as nodes
from api.http.pools import routes as pools
from api.http.projects import routes as projects
from api.http.scheduler import routes as scheduler
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.rooms import job_acts
from scheduler.documents import JsonValue
from scheduler.errors import Conflict
from scheduler.identity import Role

pages = Pages()

ROLES: Mapping[str, str] = {
    "release-the-hold": "operator", "resume-the-scheduler": "operator", "resume-the-project": "admin", "resume-the-job-type": "operator",
    "raise-the-job-types-limit-to": "operator", "raise-the-projects-quota-of": "admin", "resume-the-pool": "operator",
    "resume-the-node": "operator", "stop-draining-the-node": "operator",
}  # fmt: skip
"""The changes that can be made with one press, and the role that each needs."""

OF_INSTALLATION = frozenset(ROLES) - {"release-the-hold"}
"""These concern others, too: only who reaches every project makes them."""

ASKED = {"cpus": "cpus_required", "mem": "mem_required", "disk": "disk_out_required"}
"""What a job asks for, and the fields of its form."""

UNTRIED = frozenset({"wait-until", "wait-for-the-end-of-job"})


def cards(page: PageRequest, job: Mapping[str, Any], changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the changes that would help, each with what this caller may do about it."""
    return [
        {**one, "is_tried": page.may("submitter") and one["fix"] not in UNTRIED, "is_done": _may(page, one["fix"]),
         "form": _form(page, job, one)}
        for one in changes
    ]  # fmt: skip


@pages.get("/ui/jobs/<id:job_id>/trial", role=Role.SUBMITTER)
def show_trial(page: PageRequest, job_id: int) -> PageAnswer:
    """What would become of a job once a change were made, or all that would help."""
    job = feed.ask(page, jobs.show_job, job_id=job_id)
    why = feed.ask(page, jobs.explain_job, job_id=job_id)
    chosen = _chosen(why["changes"], request.args)
    names: list[JsonValue] = [{"fix": one["fix"], "subject": one["subject"]} for one in chosen]
    told = feed.ask(page, jobs.try_changes, job_id=job_id, body={"changes": names})
    return PageView(
        "trial.html", {"job": job, "why": why, "tried": told, "faults": (), "cards": cards(page, job, chosen)}
    )


@pages.post("/ui/jobs/<id:job_id>/fix", role=Role.OPERATOR)
def make_change(page: PageRequest, job_id: int) -> PageAnswer:
    """Make one change that would help, then show the job."""
    job = feed.ask(page, jobs.show_job, job_id=job_id)
    why = feed.ask(page, jobs.explain_job, job_id=job_id)
    (change,) = _chosen(why["changes"], request.form)
    fix, subject, to = change["fix"], change["subject"], change["to"]
    if fix == "release-the-hold":
        begun = feed.ask(page, bulk.release_jobs, body={"job_id": [job_id]})
        job_acts.wait_for(page, begun["id"])
    elif fix == "resume-the-scheduler":
        feed.ask(page, scheduler.change_scheduler, body={"is_paused": False})
    elif fix == "resume-the-project":
        feed.ask(page, projects.change_project, name=job["project"], body={"is_paused": False})
    elif fix == "raise-the-projects-quota-of":
        amount = int(to) if subject == "jobs" else to
        feed.ask(page, projects.change_project, name=job["project"], body={"quota": {subject: amount}})
    elif fix in {"resume-the-job-type", "raise-the-job-types-limit-to"}:
        body: dict[str, JsonValue] = (
            {"is_paused": False} if fix == "resume-the-job-type" else {"max_scheduled": int(to)}
        )
        feed.ask(page, job_types.change_job_type, job_type_id=job["job_type"]["id"], body=body)
    elif fix == "resume-the-pool":
        feed.ask(page, pools.change_pool, name=subject, body={"is_paused": False})
    elif fix in {"resume-the-node", "stop-draining-the-node"}:
        field = "is_paused" if fix == "resume-the-node" else "is_draining"
        feed.ask(page, nodes.change_node, node_id=_node(page, subject), body={field: False})
    else:
        raise Conflict("that is nothing that a press of a button changes")
    return redirect(f"{request.script_root}/ui/jobs/{job_id}?done=fix#why", 303)


def _chosen(changes: list[dict[str, Any]], asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the change that is meant, as explain names it now; without a name all that can be made."""
    if not asked.get("fix"):
        return [one for one in changes if one["fix"] not in UNTRIED]
    fix, subject = asked["fix"], asked.get("subject")
    found = [one for one in changes if one["fix"] == fix and subject in {None, one["subject"]}][:1]
    if not found:
        raise Conflict("that is not what would help any more; look again at why the job waits")
    return found


def _may(page: PageRequest, fix: str) -> bool:
    role = ROLES.get(fix)
    return role is not None and page.may(role) and (page.everywhere or fix not in OF_INSTALLATION)


def _form(page: PageRequest, job: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the form of the same job is filled in with, for a change of what it asks for that the form has a field for."""
    if not page.may("submitter"):
        return None
    fix, subject, to = change["fix"], change["subject"], change["to"]
    if fix == "ask-for-less-of" and subject in ASKED:
        return {"again": job["id"], ASKED[subject]: f"{to:g}"}
    if fix == "set-a-shorter-timeout":
        return {"again": job["id"], "timeout": int(to)}
    if fix == "do-not-ask-for-the-pool":
        return {"again": job["id"], "pool": ""}
    return None


def _node(page: PageRequest, name: str) -> int:
    found = feed.ask(page, nodes.list_nodes, query={"name": name})["results"]
    if not found:
        raise Conflict(f"there is no node {name} any more")
    return int(found[0]["id"])
