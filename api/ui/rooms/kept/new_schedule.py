"""A new schedule: a form whose next times are shown while one types, for a command or a saved workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.schedules import routes as schedules
from api.http.workflow_types import routes as workflow_types
from api.ui import feed, forms
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.rooms.kept.schedules import OVERLAPS
from scheduler.errors import Fault, GangerError
from scheduler.identity import Role

pages = Pages()

_OF_JOB = ("command", "shell", "project", "cpus_required", "mem_required", "timeout", "max_tries")
_TIMES = ("cron", "every", "zone", "overlap")


@pages.get("/ui/schedules/new", role=Role.SUBMITTER)
def show_schedule_form(page: PageRequest) -> PageAnswer:
    """The form; its address fills it in."""
    return _form(page, {"zone": page.preferences.zone, **request.args.to_dict()})


@pages.post("/ui/schedules/new", role=Role.SUBMITTER)
def make_schedule(page: PageRequest) -> PageAnswer:
    """Make the schedule, or only say when it would be due."""
    form = request.form.to_dict()
    times: dict[str, Any] = {name: text for name in _TIMES if (text := form.get(name, "").strip())}
    tried = form.get("try") == "1"
    try:
        if tried:
            coming = feed.ask(page, schedules.preview_schedule, body=times)
            return PageView("parts/coming.html", {"coming": coming, "faults": ()}, part="")
        body = {"name": form.get("name", "").strip(), **times, "is_paused": form.get("paused") == "1", **_target(form)}
        made = feed.ask(page, schedules.create_schedule, body=body)
    except GangerError as error:
        if tried:
            return PageView("parts/coming.html", {"coming": None, "faults": error.faults}, part="")
        return _form(page, form, error.faults)
    return redirect(f"{request.script_root}/ui/schedules/{made['id']}?done=create", 303)


def _target(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what the schedule makes. Raises InvalidInput that names each field at fault."""
    if workflow := form.get("workflow", ""):
        project = form.get("project", "").strip()
        return {"workflow": {"type": workflow, **({"project": project} if project else {})}}
    return {"job": forms.body({name: form.get(name, "") for name in _OF_JOB}, None)}


def _form(page: PageRequest, values: Mapping[str, str], faults: tuple[Fault, ...] = ()) -> PageView:
    saved = feed.ask(page, workflow_types.list_workflow_types, query={"page_size": "500"})["results"]
    wrong = {one.field.removeprefix("job.").partition("[")[0]: one.sentence for one in faults if one.field}
    return PageView("new_schedule.html", {
        "values": values, "workflows": [one["name"] for one in saved], "overlaps": OVERLAPS.items(), "wrong": wrong, "faults": faults,
    }, 400 if faults else 200)  # fmt: skip
