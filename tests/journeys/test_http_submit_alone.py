"""A job that is submitted alone is one statement, which writes nothing where what the process remembers is out of date."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api


def test_what_became_of_project_and_type_since_the_last_submission_counts(api: Api) -> None:
    """A process remembers both; another one, here the database itself, changes them behind its back."""
    api.a_type("remembered", "1.0", command=["true", "first"])

    def submitted() -> Any:
        return api.post("/jobs/", {"job_type": {"name": "remembered"}})

    assert submitted().json["job_type"]["version"] == "1.0"
    assert submitted().json["job_type_rev"]["revision_num"] == 1
    newest = api.a_type("remembered", "2.0")
    assert submitted().json["job_type"]["version"] == "2.0"
    assert api.patch(f"/job-types/{newest['id']}/", {"command": ["false"]}).status_code == 200
    assert submitted().json["job_type_rev"]["revision_num"] == 2
    api.change("UPDATE job_types SET is_active = false, archived = now() WHERE name = 'remembered'")
    assert (submitted().status_code, submitted().json["kind"]) == (409, "conflict")
    api.change("UPDATE job_types SET is_active = true, archived = NULL WHERE name = 'remembered'")
    assert submitted().status_code == 201
    api.change("""UPDATE projects SET quota = '{"queued_jobs": 3}' WHERE name = 'default'""")
    assert submitted().json["kind"] == "over-quota"
    api.change("UPDATE projects SET quota = '{}', deleted = now() WHERE name = 'default'")
    assert "no project 'default'" in submitted().json["description"]


def test_a_type_of_the_project_comes_before_the_installations_that_was_submitted_to(api: Api) -> None:
    api.a_project("own")
    api.a_type("common")
    ask = {"job_type": {"name": "common"}, "project": "own"}
    before = api.post("/jobs/", ask).json["job_type"]["id"]
    own = api.a_type("common", project="own")["id"]
    assert api.post("/jobs/", ask).json["job_type"]["id"] == own != before


def test_the_answer_to_a_submission_is_the_job_as_its_detail_shows_it(api: Api) -> None:
    made = api.a_type("shown", interface={"input_data": [{"name": "n", "schema": {"type": "integer"}}]})
    body = {"job_type_id": made["id"], "inputs": {"n": 3}, "labels": {"run": "7"}, "name": "one", "priority": 5}
    for asked in (body, {"command": ["echo", "a b"], "environment": {"A": "1"}, "idempotency_key": "k"}):
        answer = api.post("/jobs/", asked).json
        assert answer == api.get(f"/jobs/{answer['id']}/").json
