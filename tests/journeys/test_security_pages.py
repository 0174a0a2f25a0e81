"""Whoever has signed in sends forms and addresses that no page of ours would: each is refused as the API refuses it, and nothing fails inside."""

from __future__ import annotations

import pytest

from scheduler.identity import Role
from tests.support.api import Api
from tests.support.browserless import PageReader, signed_in

DEEP = "[" * 100_000
NO_NUMBERS = ("\u00b2", "--5", "9" * 30, "9" * 5000, "1e999", "nan", "inf", "\x00")
NO_DOCUMENTS = (DEEP, "[" * 40 + "]" * 40, "NaN", '"\\ud800"', '"\\u0000"', '{"a": 1, "a": 2}', "1" + "0" * 40)


@pytest.fixture
def attacker(api: Api) -> PageReader:
    """An operator of `mine`, where `tool` takes an input of every kind."""
    api.a_project("mine")
    api.a_token("operator of mine", Role.OPERATOR, "mine")
    given = {"whole": {"type": "integer"}, "any": None, "list": {"type": "array", "items": {"type": "integer"}}}
    inputs = [{"name": name, "type": "property", "schema": schema, "required": False} for name, schema in given.items()]
    file = {"name": "file", "type": "file", "required": False}
    interface = {"version": "1.0", "input_data": [*inputs, file], "output_data": []}
    api.a_type("tool", project="mine", interface=interface)
    return signed_in(api, "operator of mine")


def test_what_is_typed_into_forms_of_a_job_is_read_as_the_api_reads_a_body(api: Api, attacker: PageReader) -> None:
    before = api.get("/jobs/").json["count"]
    tried = [("in.any", one) for one in NO_DOCUMENTS]
    tried += [(f"in.{name}", one) for name in ("whole", "list", "file") for one in NO_NUMBERS if one != "\x00"]
    tried += [("cpus_required", one) for one in NO_NUMBERS] + [("priority", one) for one in NO_NUMBERS]
    tried += [(name, "a\x00") for name in ("name", "pool", "labels", "key")]
    for name, value in tried:
        answer = attacker.post("/ui/submit", {"type": "tool/1.0", name: value})
        assert answer.status_code == 400, (name, value[:20], answer.status_code)
    assert api.get("/jobs/").json["count"] == before


def test_what_is_done_to_jobs_and_how_they_are_chosen_never_fails_inside(api: Api, attacker: PageReader) -> None:
    job = api.as_("operator of mine").post("/jobs/", {"command": ["true"], "project": "mine"}).json["id"]
    for value in NO_NUMBERS:
        assert attacker.post(f"/ui/jobs/{job}/requeue", {"priority": value}).status_code in {303, 400}, value[:20]
        for form in ({"q": f"id:{value}"}, {"q": f"workflow:{value}"}, {"q": value}, {"job_id": value}):
            for address in ("/ui/bulk/cancel", "/ui/jobs"):
                answer = attacker.client.get(address, query_string=form)
                assert answer.status_code in {200, 303, 400}, (address, form, answer.status_code)
    for value in NO_DOCUMENTS:
        assert attacker.post(f"/ui/jobs/{job}/done", {"outputs": value}).status_code in {400, 409}, value[:20]
    for address in ("/ui/submit?type=%00/1", "/ui/types/%00/1", "/ui/types/tool/%00", "/ui/find?q=%00"):
        assert attacker.get(address).status_code in {200, 303, 400, 404}, address
