"""A submitter writes definitions of workflows that reach further than their project: into the leader, and into nodes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.schedules import firing
from scheduler.workflows import checking, parsing
from tests.support.api import Api

DEEP = "[" * 200 + "1" + "]" * 200


def lines(**fields: Any) -> str:
    """Return JSON lines of two jobs, the first with these fields."""
    jobs = [{"job": "a", "type": "tool", **fields}, {"job": "b", "command": ["true"]}]
    return "\n".join(orjson.dumps(one).decode() for one in jobs)


@pytest.fixture
def mine(api: Api) -> Api:
    """A submitter of `mine`, whose type `tool` takes any value; `theirs` has a submitter, too."""
    for project in ("mine", "theirs"):
        api.a_project(project)
        api.a_token(f"submitter of {project}", Role.SUBMITTER, project)
    interface = {"version": "1.0", "input_data": [{"name": "any", "type": "property"}], "output_data": []}
    api.a_type("tool", project="mine", interface=interface)
    return api.as_("submitter of mine")


@pytest.mark.parametrize(
    "text",
    [
        lines(parameters={"any": orjson.loads(DEEP)}),
        lines(parameters={"any": "a\0"}),
        lines(name="a\0"),
        lines(parameters={"any": 1}).replace("tool", "to\\u0000ol"),
        r'name: "a\0b"' + "\njobs: {a: {command: [x]}}",
        r'jobs: {"a\0": {command: [x]}}',
        r'jobs: {a: {type: "\0"}}',
        r'jobs: {a: {command: ["\0"]}}',
        r'jobs: {a: {command: ["\uD800"]}}',
        '{"jobs": {"a": {"command": ["' + "x" * 3_000_000 + '"]}}}',
        '{"jobs": {"a": {"command": ["' + "x" * 600_000 + '"]}}}\n{',
        f'{{"jobs": {{"a": {{"type": "tool", "parameters": {{"any": {DEEP}}}, "name": "{"x" * 600_000}"}}}}}}',
    ],
)
def test_what_nothing_can_hold_or_hand_on_is_refused_however_it_is_written(api: Api, mine: Api, text: str) -> None:
    """Two hundred levels in a line of JSON stood in the answer to a node's claims, which the node could not read: it stood still."""
    for path, body in (
        ("/workflows/validate/", {}),
        ("/workflows/", {}),
        ("/workflow-types/", {"name": "kept"}),
    ):
        answer = mine.post(path, {"definition": text, **body})
        assert answer.status_code == 400, (path, answer.text[:300])
    assert api.get("/jobs/").json["count"] == 0


def test_json_lines_of_a_large_run_are_read_and_kept_as_lines() -> None:
    text = "\n".join(orjson.dumps({"job": f"j{n}", "command": ["true", "x" * 100]}).decode() for n in range(10_000))
    assert len(parsing.parse(text).value["jobs"]) == 10_000  # type: ignore[index, call-overload, arg-type]  # a document
    assert checking.stored(text).is_lines
    with pytest.raises(InvalidInput):
        parsing.parse("{" + "x" * 3_000_000)


def test_a_schedule_that_cannot_be_made_fails_alone(api: Api, mine: Api) -> None:
    """One that failed inside ended the leader's whole turn, again and again: nobody's schedules fired any more."""
    kept = {"definition": "jobs: {a: {command: [x]}}"}
    assert mine.post("/workflow-types/", {"name": "poison", **kept}).status_code == 201
    theirs = api.as_("submitter of theirs")
    assert theirs.post("/workflow-types/", {"name": "good", **kept}).status_code == 201
    due = {"cron": "* * * * *"}
    poison = mine.post("/schedules/", {"name": "poison", **due, "workflow": {"type": "poison"}}).json["id"]
    job = mine.post("/schedules/", {"name": "job", **due, "job": {"command": ["true"]}}).json["id"]
    victims = [
        theirs.post("/schedules/", {"name": "flow", **due, "workflow": {"type": "good"}}).json["id"],
        theirs.post("/schedules/", {"name": "job", **due, "job": {"command": ["true"]}}).json["id"],
    ]
    # As a release before may have kept them: nothing takes such targets any more.
    api.change("UPDATE schedules SET target = jsonb_set(target, '{workflow,inputs}', '7') WHERE id = :id", id=poison)
    api.change("UPDATE schedules SET target = jsonb_set(target, '{overrides}', '7') WHERE id = :id", id=job)
    api.change("UPDATE schedules SET next_at = now(), next_nominal = date_trunc('minute', now())")
    firing.step(api.rt)
    told = {one: api.get(f"/schedules/{one}/firings/").json["results"][0]["outcome"] for one in (poison, job, *victims)}
    assert [told[one] for one in (poison, job)] == ["FAILED", "FAILED"]
    assert [told[one] for one in victims] == ["LIVE", "LIVE"]
