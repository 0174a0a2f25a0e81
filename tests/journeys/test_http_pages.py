"""Every list is one of pages: page and page_size, what they refuse, the envelope, and links that lead through all of it."""

from __future__ import annotations

import re
from typing import Any

from tests.support.api import Api

ENVELOPE = {"count", "count_exact", "next", "previous", "results"}
NO_PAGES = {
    "/jobs/changes/": "a feed has a cursor, and no end to count to",
    "/jobs/groups/": "a count for each value, of at most a hundred values",
    "/jobs/{job_id}/waits/": "the newest stretches of one wait",
    "/queue/balance/history/": "a course for each of a few projects, by `limit`",
    "/queue/head/": "the first few of the plan, by `limit`",
    "/me/sessions/": "the few sessions of one token",
    "/workflows/{workflow_id}/jobs/": "up to 100,000, by the last id that was seen",
    "/search/": "the best few of each kind",
}
REFUSED = [
    ({"page": "0"}, "page"), ({"page": "-1"}, "page"), ({"page": "x"}, "page"), ({"page": ""}, "page"), ({"page": "1.0"}, "page"),
    ({"page_size": "0"}, "page_size"), ({"page_size": "-5"}, "page_size"), ({"page_size": "1001"}, "page_size"), ({"page_size": "x"}, "page_size"),
]  # fmt: skip


def lists_of(document: dict[str, Any]) -> list[str]:
    """Return the addresses whose answer holds `results`."""
    schemas = document["components"]["schemas"]
    found = []
    for path, item in document["paths"].items():
        content = item.get("get", {"responses": {}})["responses"].get("200", {}).get("content", {})
        name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if schemas.get(name, {}).get("properties", {}).get("results", {}).get("type") == "array":
            found.append(path)
    return found


def walk(api: Api, path: str, **query: Any) -> list[Any]:
    """Follow `next` to the end and `previous` back to the start; return all entries."""
    answer = api.get(path, **query)
    assert answer.status_code == 200, answer.text
    first, seen = answer.json, [*answer.json["results"]]
    assert first["previous"] is None
    while answer.json["next"]:
        answer = api.follow(answer.json["next"])
        assert answer.status_code == 200, answer.text
        seen += answer.json["results"]
    while answer.json["previous"]:
        answer = api.follow(answer.json["previous"])
    assert answer.json["results"] == first["results"]
    assert first["count"] == len(seen)
    return seen


def test_every_list_has_pages_and_refuses_what_is_none(api: Api) -> None:
    api.a_type()
    api.a_job()
    api.post("/data-sets/", {"name": "one", "grid": {"blocks": [1, 1, 1], "size": [1, 1, 1]}})
    api.post("/schedules/", {"name": "one", "cron": "@daily", "zone": "UTC", "job": {"command": ["true"]}})
    api.post("/workflows/", {"definition": "jobs: {one: {command: ['true']}}"})
    api.post("/workflow-types/", {"name": "one", "definition": "jobs: {one: {command: ['true']}}"})
    document = api.get("/openapi.json").json
    lists = [path for path in lists_of(document) if path not in NO_PAGES]
    assert len(lists) > 20
    for path in lists:
        name = "a-type" if path.startswith("/job-types/") else "default"
        address = re.sub(r"{\w+}", "1", path.replace("{name}", name).replace("{version}", "1.0"))
        known = {parameter["name"] for parameter in document["paths"][path]["get"].get("parameters", ())}
        assert {"page", "page_size"} <= known, path
        answer = api.get(address, page="1", page_size="1")
        assert answer.status_code == 200, (address, answer.text)
        assert set(answer.json) >= ENVELOPE, address
        assert len(answer.json["results"]) <= 1, address
        for query, field in REFUSED:
            refused = api.get(address, **query)
            assert (refused.status_code, refused.json.get("field")) == (400, field), (address, query)
        assert api.get(address, page="100000").status_code == 404, address


def test_lists_that_were_read_whole_are_walked_page_by_page(api: Api) -> None:
    for number in range(3):
        made = api.a_type(f"type-{number}")
        api.post("/pools/", {"name": f"pool-{number}"})
        api.a_job(job_type_id=made["id"])
    api.change("UPDATE jobs SET status = 'RUNNING', started = now() WHERE id = 1")
    api.change("UPDATE jobs SET status = 'RUNNING', started = now() WHERE id = 2")
    assert {pool["name"] for pool in walk(api, "/pools/", page_size=2)} >= {f"pool-{n}" for n in range(3)}
    assert len(walk(api, "/job-types/status/", page_size=2, started="PT1H")) >= 4
    assert len(walk(api, "/job-types/running/", page_size=1)) == 2
    assert len(walk(api, "/queue/status/", page_size=1)) == 1
    for number in range(2):
        api.patch("/job-types/type-0/1.0/", {"command": ["echo", str(number)]})
    numbers = [one["revision_num"] for one in walk(api, "/job-types/type-0/1.0/revisions/", page_size=1)]
    assert numbers == [3, 2, 1]


def test_the_events_of_a_job_are_in_pages_with_its_submission_first(api: Api) -> None:
    job = api.a_job()
    for _ in range(2):
        api.post("/jobs/hold/", {"job_id": job["id"]})
        api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
        api.post("/queue/requeue-jobs/", {"job_ids": [job["id"]]})
    events = walk(api, f"/jobs/{job['id']}/events/", page_size=2)
    assert events[0]["event"] == "SUBMIT"
    assert events == walk(api, f"/jobs/{job['id']}/events/")
    assert len(events) >= 4


def test_the_secrets_of_a_project_are_in_pages(api: Api) -> None:
    for name in ("a", "b", "c"):
        api.change("INSERT INTO secrets (project_id, name, value) VALUES (1, :name, 'x')", name=name)
    assert [one["name"] for one in walk(api, "/admin/projects/default/secrets/", page_size=2)] == ["a", "b", "c"]


def test_a_requeue_of_more_than_a_page_leads_to_all_its_jobs_and_repeats_nothing(api: Api) -> None:
    ids = api.post("/jobs/", [{"command": ["true"]}] * 250).json["job_ids"]
    api.change("UPDATE jobs SET status = 'CANCELED', ended = now()")
    answer = api.post("/queue/requeue-jobs/", {"status": ["CANCELED"]})
    assert (answer.json["count"], len(answer.json["results"])) == (250, 100)
    assert {job["status"] for job in answer.json["results"]} == {"QUEUED"}
    seen = [job["id"] for job in answer.json["results"]]
    api.patch(f"/jobs/{ids[200]}/", {"status": "CANCELED"})  # what is read on must not requeue it again
    link = answer.json["next"]
    while link:
        answer = api.follow(link)
        seen += [job["id"] for job in answer.json["results"]]
        link = answer.json["next"]
    assert seen == ids
    assert api.get(f"/jobs/{ids[200]}/").json["status"] == "CANCELED"
    back = api.follow(answer.json["previous"]).json
    assert [job["id"] for job in back["results"]] == ids[100:200]
    (operation,) = api.query("SELECT status, matched, done FROM operations")
    assert tuple(operation) == ("COMPLETED", 250, 250)


def test_the_jobs_of_an_operation_are_those_it_named(api: Api) -> None:
    one, two = api.a_job()["id"], api.a_job()["id"]
    named = api.post("/jobs/hold/", {"job_id": [one]}).json["id"]
    assert [job["id"] for job in api.get("/jobs/", operation_id=named).json["results"]] == [one]
    assert api.get("/jobs/", operation_id=named, job_id=two).json["count"] == 0
    filtered = api.post("/jobs/hold/", {"status": "QUEUED"}).json["id"]
    assert api.get("/jobs/", operation_id=filtered).json["field"] == "operation_id"
    assert api.get("/jobs/", operation_id=99).status_code == 404
