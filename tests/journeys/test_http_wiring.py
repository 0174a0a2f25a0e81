"""Data along needs of plain jobs, and a cancel that takes those along that nothing else keeps waiting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import end, resolve


@pytest.fixture
def typed(api: Api) -> Api:
    number = {"name": "n", "type": "property"}
    file = {"name": "part", "type": "file"}
    api.a_type("make", max_tries=1, interface={"version": "1.0", "output_data": [number, {**file, "required": False}]})
    api.a_type("take", interface={"version": "1.0", "input_data": [number, {**file, "required": False}]})
    return api


def made(api: Api, *bodies: dict[str, Any]) -> list[int]:
    answer = api.post("/jobs/", list(bodies))
    assert answer.status_code == 201, answer.text
    return list(answer.json["job_ids"])


def test_an_input_is_an_output_of_another_job_and_waits_for_it(typed: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    make, take, all_of = made(
        typed,
        {"job_type": {"name": "make"}, "key": "make", "group": "makers"},
        {"job_type": {"name": "take"}, "inputs": {"n": {"from": {"job": "=make", "output": "n"}}}},
        {"job_type": {"name": "take"}, "inputs": {"n": {"from": {"group": "makers", "output": "n"}, "default": 1}}},
    )
    (later,) = made(typed, {"job_type": {"name": "take"}, "inputs": {"n": {"from": {"job": make, "output": "n"}}}})
    assert [one["job"] for one in typed.get(f"/jobs/{take}/").json["needs"]] == [make]
    end(typed, cluster, node, make, properties={"n": 7})
    values = [typed.get(f"/jobs/{one}/").json["inputs"][0]["value"] for one in (take, all_of, later)]
    assert values == [7, 7, 7]


@pytest.mark.parametrize(
    ("source", "status", "field", "words"),
    [
        ({"job": 999999, "output": "n"}, 404, "[1].inputs.n.from.job", "there is no job 999999"),
        ({"job": "@0", "output": "m"}, 400, "[1].inputs.n", "has no output 'm'; it has n, part"),
        ({"job": "@0", "output": "part"}, 400, "[1].inputs.n", "is a file, and the input takes a value"),
        ({"output": "n"}, 400, "[1].inputs.n.from", "one of job and group"),
        ({"job": [1], "output": "n"}, 400, "[1].inputs.n.from.job", "a job's id"),
    ],
)
def test_a_wrong_wire_is_refused_by_its_place(typed: Api, source: Any, status: int, field: str, words: str) -> None:
    bodies = [{"job_type": {"name": "make"}}, {"job_type": {"name": "take"}, "inputs": {"n": {"from": source}}}]
    answer = typed.post("/jobs/", bodies)
    assert answer.status_code == status, answer.text
    fault = answer.json["faults"][0] if "faults" in answer.json else answer.json
    assert (fault["field"], words in answer.text) == (field, True), answer.text
    assert typed.query("SELECT count(*) FROM jobs")[0][0] == 0


def test_a_cancel_with_followers_takes_what_nothing_else_keeps_waiting(api: Api, cluster: Cluster) -> None:
    command = {"command": ["true"]}
    a, b, c, d, e, other, both = made(
        api,
        command,
        {**command, "needs": ["@0"], "group": "g"},
        {**command, "needs": [{"group": "g"}]},
        {**command, "needs": [{"job": "@0", "after": "ANY"}]},
        {**command, "needs": [{"job": "@0", "after": "FAIL"}]},
        command,
        {**command, "needs": ["@1", "@5"]},
    )
    answer = api.send("PATCH", f"/jobs/{a}/", {"status": "CANCELED"}, query={"followers": "true"})
    assert answer.status_code == 200
    resolve(api)
    stand = {one: api.get(f"/jobs/{one}/").json["status"] for one in (a, b, c, d, e, other, both)}
    assert stand == {a: "CANCELED", b: "CANCELED", c: "CANCELED", d: "QUEUED", e: "CANCELED", other: "QUEUED", both: "BLOCKED"}  # fmt: skip
    assert api.get(f"/jobs/{e}/").json["is_skipped"]
