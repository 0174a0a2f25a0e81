"""What a project demands of all its jobs: the isolation of their nodes, and where images come from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api import Api

ADDRESS = "/admin/projects/default/"


@pytest.fixture(autouse=True)
def without_demands(api: Api) -> Iterator[None]:
    yield
    api.patch(ADDRESS, {"demands": {"isolation": None, "registries": None}})


def demand(api: Api, **demands: object) -> None:
    answer = api.patch(ADDRESS, {"demands": demands})
    assert answer.status_code == 200, answer.text
    shown = answer.json["demands"]
    assert {name: shown[name] for name in demands} == demands


def a_container(api: Api, image: str) -> tuple[int, str]:
    job = {"command": ["/bin/true"], "runner": "container", "options": {"image": image}}
    answer = api.post("/jobs/", job)
    return answer.status_code, answer.text


def test_the_least_isolation_is_a_constraint_of_every_job_that_is_submitted_from_then_on(api: Api) -> None:
    demand(api, isolation="namespaces")
    made = api.post("/jobs/", {"command": ["/bin/true"], "constraints": [{"label": "zone", "op": "=", "value": "a"}]})
    assert made.status_code == 201, made.text
    constraints = api.get(f"/jobs/{made.json['id']}/").json["constraints"]
    assert {"label": "isolation", "op": "in", "value": ["namespaces", "users"]} in constraints
    assert len(constraints) == 2
    demand(api, isolation=None)
    made = api.post("/jobs/", {"command": ["/bin/true"]})
    assert api.get(f"/jobs/{made.json['id']}/").json["constraints"] == []


@pytest.mark.parametrize(
    ("image", "good"),
    [
        ("registry.example/team/app:1", True),
        ("registry.example/team@sha256:" + "0" * 64, True),
        ("registry.example/teams/app", False),
        ("registry.example/other", False),
        ("registry.example.evil/team/app", False),
        ("busybox", False),
        ("quay.io/busybox", True),
        ("quay.io:443/busybox", False),
    ],
)
def test_images_come_from_the_registries_that_the_project_allows(api: Api, image: str, good: bool) -> None:
    demand(api, registries=["registry.example/team", "quay.io"])
    status, text = a_container(api, image)
    assert (status in {201, 202}) is good, text
    if not good:
        assert (status, "registry.example/team, quay.io" in text) == (400, True), text


def test_an_image_without_a_registry_is_one_of_docker_hub_and_an_empty_list_allows_none(api: Api) -> None:
    demand(api, registries=["docker.io/library"])
    assert a_container(api, "busybox:1")[0] in {201, 202}
    assert a_container(api, "someone/busybox:1")[0] == 400
    demand(api, registries=[])
    assert a_container(api, "busybox:1")[0] == 400


@pytest.mark.parametrize("bad", [{"isolation": "full"}, {"registries": ["x y"]}, {"registries": [""]}, {"other": 1}])
def test_demands_that_mean_nothing_are_refused(api: Api, bad: dict[str, object]) -> None:
    assert api.patch(ADDRESS, {"demands": bad}).status_code == 400
