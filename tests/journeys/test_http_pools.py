"""Pools over HTTP: sized, followed, explained, paused; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.identity import Role
from tests.journeys.test_http_nodes import a_node
from tests.support.api import Api


def pool(api: Api, name: str = "default") -> dict[str, Any]:
    answer = api.get(f"/pools/{name}/")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_a_pool_shows_what_it_has(api: Api) -> None:
    a_node(api, "n1")
    a_node(api, "n2")
    found = pool(api)
    assert (found["sizing"], found["wanted"], found["nodes"]["ready"]) == ("free", None, 2)
    assert found["resources"]["cpus"] == {"total": 8, "scheduled": 0}
    listed = api.get("/pools/").json
    assert (listed["count"], [entry["name"] for entry in listed["results"]]) == (1, ["default"])


def test_a_size_fixes_a_pool_and_bounds_let_it_follow(api: Api) -> None:
    fixed = api.as_("operator").patch("/pools/default/", {"size": 4, "reason": "a demo"})
    assert fixed.status_code == 200
    assert (fixed.json["sizing"], fixed.json["size"]) == ("fixed", 4)
    assert "scaling" in api.nudges
    auto = api.patch("/pools/default/", {"min": 1, "max": 20, "settings": {"idle_s": 300}}).json
    assert (auto["sizing"], auto["min"], auto["max"], auto["settings"]) == ("auto", 1, 20, {"idle_s": 300})
    assert api.patch("/pools/default/", {"settings": {"idle_s": None}}).json["settings"] == {}
    events = api.get("/pools/default/events/").json["results"]
    assert [event["actor"] for event in events] == ["admin", "admin", "operator"]
    assert events[-1]["reason"] == "a demo"


def test_templates_and_drivers_are_kept_in_the_units_they_came_in(api: Api) -> None:
    template = {"cpus": 0.5, "mem": 512, "disk": 1000, "resources": {"gpu": 1}}
    drivers = [{"driver": "rack", "max": 3}, {"driver": "local"}]
    made = api.post(
        "/pools/", {"name": "night", "size": 2, "template": template, "drivers": drivers, "labels": {"a": "b"}}
    )
    assert made.status_code == 201
    assert made.headers["Location"].endswith("/pools/night/")
    assert made.json["template"] == {"cpus": 0.5, "mem": 512, "disk": 1000, "gpu": 1}
    assert (made.json["drivers"], made.json["labels"]) == (drivers, {"a": "b"})
    assert api.patch("/pools/night/", {"template": None}).json["template"] is None
    assert api.post("/pools/", {"name": "night"}).status_code == 409


def test_pausing_a_pool_has_a_reason_that_goes_with_it(api: Api) -> None:
    paused = api.patch("/pools/default/", {"is_paused": True, "reason": "storm"}).json
    assert (paused["is_paused"], paused["pause_reason"]) == (True, "storm")
    resumed = api.patch("/pools/default/", {"is_paused": False}).json
    assert (resumed["is_paused"], resumed["pause_reason"]) == (False, None)


def test_the_wanted_size_is_a_plain_number_for_scalers_outside(api: Api) -> None:
    a_node(api, "n1")
    assert api.as_("viewer").get("/pools/default/wanted/").json == {
        "wanted": 1,
        "present": 1,
        "starting": 0,
        "unmet": 0,
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "why not"},
        {"size": -1},
        {"size": 1.5},
        {"size": "4"},
        {"size": None},
        {"size": 1, "max": 2},
        {"min": 5, "max": 2},
        {"sizing": "auto"},
        {"sizing": "huge"},
        {"drivers": [{"driver": "local", "argv": ["sh"]}]},
        {"drivers": [{"driver": "../x"}]},
        {"template": {"mem": 5}},
        {"template": {"cpus": 0}},
        {"settings": {"idle_s": -1}},
        {"settings": {"bogus": 1}},
        {"labels": {"a": 1}},
        {"unknown": 1},
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(api: Api, body: dict[str, Any]) -> None:
    before = pool(api)
    answer = api.patch("/pools/default/", body)
    assert answer.status_code == 400, answer.text
    assert pool(api) == before


def test_pools_that_are_not_there_are_404(api: Api) -> None:
    for path in ("/pools/nowhere/", "/pools/nowhere/events/", "/pools/nowhere/wanted/"):
        assert api.get(path).status_code == 404
    assert api.patch("/pools/nowhere/", {"size": 1}).status_code == 404


def test_only_operators_of_the_whole_installation_change_pools(api: Api) -> None:
    assert api.as_("submitter").patch("/pools/default/", {"size": 1}).status_code == 403
    api.a_project("physics")
    api.a_token("local-operator", Role.OPERATOR, "physics")
    assert api.as_("local-operator").patch("/pools/default/", {"size": 1}).status_code == 403
    assert api.as_("local-operator").get("/pools/default/").status_code == 200


def test_events_come_in_parts(api: Api) -> None:
    for size in range(5):
        api.patch("/pools/default/", {"size": size})
    first = api.get("/pools/default/events/", page_size=2).json
    api.patch("/pools/default/", {"size": 9})  # what comes meanwhile moves nothing to the next page
    second = api.follow(first["next"]).json
    rest = api.follow(second["next"]).json
    sizes = [event["detail"]["size"] for part in (first, second, rest) for event in part["results"]]
    assert (sizes, rest["next"]) == ([4, 3, 2, 1, 0], None)


def test_draining_a_node_over_http_withdraws_and_is_audited(api: Api) -> None:
    node_id = a_node(api)
    answer = api.patch(f"/nodes/{node_id}/", {"is_draining": True, "drain_reason": "new disk", "drain_s": 60})
    assert (answer.status_code, answer.json["is_draining"]) == (200, True)
    told = api.query("SELECT action, reason FROM audit WHERE subject = :subject", subject=f"node:{node_id}")
    assert [tuple(row) for row in told] == [("node.drain", "new disk")]
    assert api.patch(f"/nodes/{node_id}/", {"is_draining": False}).json["is_draining"] is False
