"""The pages of workflows: the list with its filters, the drawing that leads to jobs, and what may be done by whom."""

from __future__ import annotations

import re
from typing import Any

from tests.support.api import Api
from tests.support.browserless import PageReader, signed_in
from tests.support.followers import resolve

THREE = """
jobs:
  split: {command: ["true"]}
  measure: {command: ["true"], needs: [split], for_each: [a, b]}
  merge: {command: ["true"], needs: [measure]}
"""


def state(api: Api, workflow: int) -> dict[str, Any]:
    return dict(api.get(f"/workflows/{workflow}/").json)


def run(api: Api, name: str, text: str = THREE, **facts: Any) -> int:
    made = api.post("/workflows/", {"definition": text, "name": name, **facts})
    assert made.status_code == 201, made.text
    return int(made.json["id"])


def test_the_list_is_filtered_by_its_address(api: Api, pages: PageReader) -> None:
    first, second = run(api, "one", labels={"run": "7"}), run(api, "two")
    assert pages.post(f"/ui/workflows/{second}/cancel", {"reason": "a mistake"}).status_code == 303
    resolve(api)
    for query, shown in (("", [second, first]), ("?label=run%3D7", [first]), ("?name=two", [second]), ("?state=CANCELED", [second]),
                         ("?state=PENDING&name=one", [first]), ("?project=nowhere", [])):  # fmt: skip
        text = pages.get(f"/ui/workflows{query}").text
        assert [int(found) for found in re.findall(r'id="workflow-(\d+)"', text)] == shown, query
    assert "a mistake" in pages.get(f"/ui/workflows/{second}").text


def test_the_drawing_leads_to_the_job_or_to_those_of_a_name(api: Api, pages: PageReader) -> None:
    workflow = run(api, "three")
    text = pages.get(f"/ui/workflows/{workflow}").text
    by_name = {one["job"]: one["job_id"] for one in api.get(f"/workflows/{workflow}/jobs/").json["results"]}
    assert f'href="/ui/jobs/{by_name["split"]}" id="box-1" aria-label="split: queued"' in text
    assert f'href="/ui/workflows/{workflow}?job=measure#jobs"' in text
    assert "measure: all 2 pending" in text
    assert text.count('class="arrow') == 2
    narrowed = pages.get(f"/ui/workflows/{workflow}?job=measure&status=PENDING").text
    assert len(re.findall(r'<tr id="job-', narrowed)) == 2
    assert not re.findall(r'<tr id="job-', pages.get(f"/ui/workflows/{workflow}?job=measure&status=FAILED").text)


def test_it_is_held_released_cancelled_begun_anew_and_deleted(api: Api, pages: PageReader) -> None:
    workflow = run(api, "acts")
    assert (
        pages.post(f"/ui/workflows/{workflow}/hold", {"reason": "new data"}).headers["Location"].endswith("?done=hold")
    )
    assert state(api, workflow)["is_held"]
    assert f'action="/ui/workflows/{workflow}/release"' in pages.get(f"/ui/workflows/{workflow}").text
    pages.post(f"/ui/workflows/{workflow}/release")
    pages.post(f"/ui/workflows/{workflow}/cancel")
    assert state(api, workflow)["state"] == "CANCELED"
    pages.post(f"/ui/workflows/{workflow}/restart")
    assert state(api, workflow)["state"] == "PENDING"
    assert pages.post(f"/ui/workflows/{workflow}/delete").status_code == 409, "it has not ended"
    pages.post(f"/ui/workflows/{workflow}/cancel")
    resolve(api)
    assert pages.post(f"/ui/workflows/{workflow}/delete").headers["Location"] == "/ui/workflows?done=delete"
    assert pages.get(f"/ui/workflows/{workflow}").status_code == 404
    assert pages.post(f"/ui/workflows/{workflow}/explode").status_code == 404


def test_who_may_only_look_sees_no_button_and_others_projects_see_nothing(api: Api) -> None:
    workflow = run(api, "roles")
    for caller, acts in (("viewer", set()), ("submitter", {"cancel"}), ("operator", {"cancel", "hold"})):
        text = signed_in(api, caller).get(f"/ui/workflows/{workflow}").text
        assert set(re.findall(rf'action="/ui/workflows/{workflow}/(\w+)"', text)) == acts, caller
    assert signed_in(api, "viewer").post(f"/ui/workflows/{workflow}/cancel").status_code == 403
    assert signed_in(api, "submitter").post(f"/ui/workflows/{workflow}/hold").status_code == 403
