"""What a client of the project API sends again because nobody heard the answer makes nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scheduler.identity import Role
from tests.journeys.test_metafold_http import api as api  # noqa: PLC0414 - fixtures
from tests.journeys.test_metafold_http import project as project  # noqa: PLC0414
from tests.journeys.test_metafold_http import upload
from tests.support.api import Answer, Api


@pytest.mark.parametrize(
    ("age_s", "is_asked_for", "is_one"), [(0, False, False), (5, False, True), (60, False, False), (5, True, False)]
)
def test_what_comes_again_before_anybody_asked_for_it_makes_nothing_twice(
    api: Api, project: str, age_s: float, is_asked_for: bool, is_one: bool
) -> None:
    api.a_type("mesh/preprocess")
    definition = "jobs: {a: {type: mesh/preprocess}}"
    for kind, body in (("jobs", {"type": "mesh/preprocess"}), ("workflows", {"definition": definition})):
        first = api.post(f"{project}/{kind}", body)
        if is_asked_for:
            assert api.get(urlsplit(first.json["link"]).path).status_code == 202
        api.change(f"UPDATE {kind} SET created = created - make_interval(secs => :age_s)", age_s=age_s)  # noqa: S608 - our own text
        again = api.post(f"{project}/{kind}", body)
        assert (first.status_code, again.status_code) == (202, 202)
        assert (again.json["id"] == first.json["id"]) is is_one
        other = api.post(f"{project}/{kind}", {**body, "parameters": {}})
        assert other.json["id"] not in {first.json["id"], again.json["id"]}, "it was sent otherwise"


@pytest.mark.parametrize(
    ("age_s", "is_asked_for", "is_one"), [(0, False, False), (5, False, True), (60, False, False), (5, True, False)]
)
def test_projects_and_assets_that_come_again_before_anybody_asked_for_them_are_made_once(
    api: Api, project: str, tmp_path: Path, age_s: float, is_asked_for: bool, is_one: bool
) -> None:
    requests: list[tuple[str, Callable[[bytes], Answer]]] = [
        ("/projects", lambda said: api.post("/projects", {"name": said.decode()})),
        (f"{project}/assets", lambda said: upload(api, project, said)),
    ]
    for where, send in requests:
        first = send(b"abc")
        if is_asked_for:
            assert api.get(f"{where}/{first.json['id']}").status_code == 200
        api.change("UPDATE unanswered SET created = created - make_interval(secs => :age_s)", age_s=age_s)
        again = send(b"abc")
        assert (first.status_code, again.status_code) == (201, 201)
        assert (again.json["id"] == first.json["id"]) is is_one
        assert send(b"abd").json["id"] not in {first.json["id"], again.json["id"]}
    contents = [one for one in tmp_path.rglob("*") if one.is_file() and one.read_bytes() == b"abc"]
    assert len(contents) == (1 if is_one else 2), "what came again is not kept beside the first"
    assert api.value("SELECT count(*) FROM unanswered WHERE created < now() - interval '1 minute'") == 0


def test_whoever_has_used_what_he_made_makes_another_one_with_the_same_request(api: Api, project: str) -> None:
    first = api.post("/projects", {"name": "used"}).json["id"]
    upload(api, f"/projects/{first}")
    upload(api, project)
    api.change("UPDATE unanswered SET created = created - interval '5 seconds'")
    assert api.post("/projects", {"name": "used"}).json["id"] != first, "it has a file already"
    api.a_token("other", Role.ADMIN)
    assert upload(api.as_("other"), project).json["id"] != upload(api, project).json["id"]
    deleted = upload(api, project, b"gone").json["id"]
    assert api.delete(f"{project}/assets/{deleted}").status_code == 204
    api.change("UPDATE unanswered SET created = created - interval '5 seconds'")
    assert upload(api, project, b"gone").json["id"] != deleted
