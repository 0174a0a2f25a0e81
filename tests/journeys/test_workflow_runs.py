"""Runs of workflows on real rows: made whole, in their order, with data along edges, and in the state that their jobs say."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.errors import GangerError, InvalidInput
from scheduler.identity import Caller, Role
from scheduler.jobs.admission import AdmissionCheck
from scheduler.workflows import job_writer, lookup, running, verbs
from scheduler.workflows.running import WorkflowRequest
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import resolve

ME = Caller(1, "me", Role.OPERATOR)
THREE = """
jobs:
  split:
    type: geo/split
    parameters: {parts: 2}
  measure:
    type: geo/measure
    assets: {part: {job: split, asset: part}}
    parameters: {n: {job: split, parameter: count}}
  report:
    command: [echo, done]
    needs: [measure]
"""


@pytest.fixture
def types(api: Api) -> Api:
    prop = {"type": "property"}
    api.a_type(
        "geo/split",
        interface={
            "version": "1.0",
            "input_data": [{"name": "parts", **prop, "schema": {"type": "string"}}],
            "output_data": [{"name": "part", "type": "file"}, {"name": "count", **prop}],
        },
    )
    api.a_type(
        "geo/measure",
        interface={
            "version": "1.0",
            "input_data": [{"name": "part", "type": "file"}, {"name": "n", **prop}],
            "output_data": [{"name": "area", **prop, "required": False}],
        },
    )
    return api


def run(api: Api, definition: str, **facts: Any) -> int:
    return running.run(api.rt, ME, WorkflowRequest(definition=definition, **facts))


def by_step(api: Api, workflow_id: int) -> dict[str, Any]:
    return {
        one.step if one.member is None else f"{one.step}[{one.member}]": one
        for one in lookup.jobs(api.rt, ME, workflow_id)
    }


def finish(api: Api, cluster: Cluster, node: Any, job_id: int, outcome: str = "completed", **facts: Any) -> None:
    while api.query("SELECT status FROM jobs WHERE id = :id", id=job_id)[0][0] == "QUEUED":
        assert cluster.tick()
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref, outcome, **facts)
    resolve(api)


def state(api: Api, workflow_id: int) -> str:
    return str(lookup.get(api.rt, ME, workflow_id).state)


def a_file(api: Api, cluster: Cluster, job_id: int, name: str = "part.kml", size: int = 3_000_000) -> int:
    """A file as the execution of a job would have uploaded it."""
    ref = cluster.execution_of(job_id)
    return int(
        api.query(
            """INSERT INTO files (workspace_id, project_id, file_name, media_type, file_size, sha256, path, job_id, execution_id, output)
               SELECT w.id, j.project_id, :name, 'text/xml', :size, repeat('0', 64), :name, j.id, :execution, 'part'
               FROM jobs j CROSS JOIN (SELECT id FROM workspaces ORDER BY id LIMIT 1) w WHERE j.id = :job RETURNING id""",
            name=name, size=size, job=job_id, execution=ref[0],
        )[0][0]
    )  # fmt: skip


def test_three_steps_run_in_order_and_data_flows_between_them(types: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    workflow_id = run(types, THREE)
    steps = by_step(types, workflow_id)
    assert {name: one.status for name, one in steps.items()} == {"split": "QUEUED", "measure": "PENDING", "report": "PENDING"}  # fmt: skip
    assert state(types, workflow_id) == "PENDING"
    split = steps["split"].job_id
    assert types.get(f"/jobs/{split}/").json["inputs"][0]["value"] == "2"
    cluster.tick()
    file_id = a_file(types, cluster, split)
    outputs = [{"name": "part", "file_id": file_id}]
    finish(types, cluster, node, split, outputs=outputs, properties={"count": 7})
    assert state(types, workflow_id) == "RUNNING"
    measure = types.get(f"/jobs/{steps['measure'].job_id}/").json
    assert measure["status"] == "QUEUED"
    assert {one["name"]: one["value"] if one["type"] == "property" else one["value"]["id"] for one in measure["inputs"]} == {"part": file_id, "n": 7}  # fmt: skip
    assert measure["disk_in_required"] == 3.0
    finish(types, cluster, node, steps["measure"].job_id)
    finish(types, cluster, node, steps["report"].job_id)
    found = lookup.get(types.rt, ME, workflow_id)
    assert (found.state, found.row.state, found.row.total) == ("COMPLETED", "COMPLETED", 3)
    assert found.row.started is not None
    assert found.row.ended is not None


def test_a_missing_output_fails_what_requires_it_and_says_so(types: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    workflow_id = run(types, THREE)
    steps = by_step(types, workflow_id)
    finish(types, cluster, node, steps["split"].job_id, properties={"count": 7})
    measure = types.get(f"/jobs/{steps['measure'].job_id}/").json
    assert (measure["status"], measure["error"]["name"]) == ("FAILED", "input-missing")
    assert "'part' is not there" in measure["message"]
    assert state(types, workflow_id) == "FAILED"


def test_a_failure_blocks_what_follows_and_a_restart_goes_on_from_there(types: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    workflow_id = run(
        types,
        "jobs: {a: {command: ['true'], max_tries: 1}, b: {command: ['true'], needs: [a]}, c: {command: ['true']}}",
    )
    steps = by_step(types, workflow_id)
    finish(types, cluster, node, steps["c"].job_id)
    finish(types, cluster, node, steps["a"].job_id, "failed")
    assert {name: one.status for name, one in by_step(types, workflow_id).items()} == {"a": "FAILED", "b": "BLOCKED", "c": "COMPLETED"}  # fmt: skip
    assert lookup.get(types.rt, ME, workflow_id).row.state == "FAILED"
    assert str(verbs.restart(types.rt, ME, workflow_id).state) == "RUNNING"
    resolve(types)
    assert {name: one.status for name, one in by_step(types, workflow_id).items()} == {"a": "QUEUED", "b": "PENDING", "c": "COMPLETED"}  # fmt: skip
    finish(types, cluster, node, steps["a"].job_id)
    finish(types, cluster, node, steps["b"].job_id)
    assert state(types, workflow_id) == "COMPLETED"
    with pytest.raises(GangerError, match="nothing to restart"):
        verbs.restart(types.rt, ME, workflow_id)


def test_a_cancel_closes_the_run_but_lets_finally_run(types: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    workflow_id = run(
        types,
        "jobs: {a: {command: ['true']}, b: {command: ['true'], needs: [a]}, z: {command: ['true'], finally: true}}",
    )
    verbs.cancel(types.rt, ME, workflow_id)
    resolve(types)
    found = by_step(types, workflow_id)
    assert {name: one.status for name, one in found.items()} == {"a": "CANCELED", "b": "CANCELED", "z": "QUEUED"}
    finish(types, cluster, node, found["z"].job_id)
    assert state(types, workflow_id) == "CANCELED"
    with pytest.raises(GangerError, match="has ended"):
        verbs.cancel(types.rt, ME, workflow_id)
    verbs.delete(types.rt, ME, workflow_id)
    with pytest.raises(GangerError, match="there is no workflow"):
        lookup.get(types.rt, ME, workflow_id)


def test_for_each_makes_a_job_for_each_value_and_followers_wait_for_all(types: Api, cluster: Cluster) -> None:
    text = """
jobs:
  shard:
    command: [sh, -c, 'echo $ITEM']
    max_tries: 1
    for_each: {values: [a, b, c], max_running: 2, tolerate: 0}
  merge: {command: ['true'], needs: [{job: shard, tolerate: 1}]}
"""
    node = cluster.a_node()
    workflow_id = run(types, text)
    steps = by_step(types, workflow_id)
    assert {name: one.status for name, one in steps.items()} == {"shard[0]": "QUEUED", "shard[1]": "QUEUED", "shard[2]": "PENDING", "merge": "PENDING"}  # fmt: skip
    assert types.get(f"/jobs/{steps['shard[1]'].job_id}/").json["environment"] == {"INDEX": "1", "ITEM": "b"}
    finish(types, cluster, node, steps["shard[0]"].job_id, "failed")
    finish(types, cluster, node, steps["shard[1]"].job_id)
    finish(types, cluster, node, steps["shard[2]"].job_id)
    assert by_step(types, workflow_id)["merge"].status == "QUEUED"


def test_conditions_on_inputs_and_outputs_skip_what_is_not_needed(types: Api, cluster: Cluster) -> None:
    text = """
inputs: {deep: {type: property, default: false}}
jobs:
  split: {type: geo/split, parameters: {parts: '1'}}
  deep: {command: ['true'], if: {input: deep, value: true}}
  many: {command: ['true'], if: [{job: split, parameter: count, op: '>', value: 3}]}
  few: {command: ['true'], if: [{job: split, parameter: count, op: '<=', value: 3}]}
"""
    node = cluster.a_node()
    workflow_id = run(types, text)
    resolve(types)
    steps = by_step(types, workflow_id)
    assert steps["deep"].is_skipped
    cluster.tick()
    outputs = [{"name": "part", "file_id": a_file(types, cluster, steps["split"].job_id)}]
    finish(types, cluster, node, steps["split"].job_id, outputs=outputs, properties={"count": 2})
    steps = by_step(types, workflow_id)
    assert (steps["many"].is_skipped, steps["few"].status) == (True, "QUEUED")
    finish(types, cluster, node, steps["few"].job_id)
    assert state(types, workflow_id) == "COMPLETED"


def test_on_failure_stop_cancels_what_has_not_started(types: Api, cluster: Cluster) -> None:
    node = cluster.a_node(cpus=1000)
    text = "on_failure: stop\njobs: {a: {command: ['true'], max_tries: 1, priority: 1}, b: {command: ['true']}, c: {command: ['true'], needs: [b]}}"
    workflow_id = run(types, text)
    finish(types, cluster, node, by_step(types, workflow_id)["a"].job_id, "failed")
    resolve(types)
    assert {name: one.status for name, one in by_step(types, workflow_id).items()} == {"a": "FAILED", "b": "CANCELED", "c": "CANCELED"}  # fmt: skip
    assert state(types, workflow_id) == "FAILED"


WRONG = """
jobs:
  a: {type: geo/nothing}
  b:
    command: ["true"]
    needs: [c, nobody]
  c: {command: ["true"], needs: b, cpus: -1, colour: red}
  d:
    type: geo/measure
    assets: {part: split, n: split}
    parameters: {m: 1, n: {job: split, parameter: part}}
  split: {type: geo/split}
  split: {type: geo/split}
"""


def test_everything_wrong_is_told_at_once_with_line_and_column_and_nothing_is_stored(types: Api) -> None:
    with pytest.raises(InvalidInput) as twice:
        run(types, WRONG)
    assert [fault.sentence for fault in twice.value.faults] == [
        "line 12, column 10: the key 'split' is there twice, the second time in line 13, column 3"
    ]
    with pytest.raises(InvalidInput) as form:
        run(types, WRONG.replace("  split: {type: geo/split}\n", "", 1))
    assert [(fault.field, fault.sentence.partition(": ")[0]) for fault in form.value.faults] == [
        ("definition.jobs.c.cpus", "line 7, column 42"),
        ("definition.jobs.c.colour", "line 7, column 54"),
        ("definition.jobs.d.parameters.n", "line 11, column 27"),
    ]
    mended = (
        WRONG.replace("  split: {type: geo/split}\n", "", 1)
        .replace(", cpus: -1, colour: red", "")
        .replace(", n: split}", "}")
    )
    with pytest.raises(InvalidInput) as meaning:
        run(types, mended)
    told = {fault.field: fault.sentence for fault in meaning.value.faults}
    assert "there is no job type geo/nothing" in told["definition.jobs.a.type"]
    assert "there is no job 'nobody'" in told["definition.jobs.b.needs[1]"]
    assert any(
        "in a circle: b -> c -> b" in sentence or "in a circle: c -> b -> c" in sentence for sentence in told.values()
    )
    assert "no input 'm'" in told["definition.jobs.d.parameters.m"]
    assert "'part' of 'split' is a file" in told["definition.jobs.d.parameters.n"]
    assert types.query("SELECT count(*) FROM jobs")[0][0] == 0
    assert types.query("SELECT count(*) FROM workflows")[0][0] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a map with the key jobs"),
        ("jobs: {}", "at least one job"),
        ("jobs: [a]", "at least one job"),
        ("jobs: {a: &x {command: [b]}, c: *x}", "anchors (&) and aliases (*) are not taken"),
        ("jobs: {a: !!python/object:os.system {}}", "are not taken"),
        ("jobs: {a: {command: [b]}}\n---\njobs: {}", "more than one document"),
        ("jobs:\n  a: {command: [b]\n", "line"),
        ("jobs: {a: {command: [b], type: c}}", "either a type or a command"),
        ("jobs: {a: {command: [b], for_each: {values: 3}}}", "a list"),
        ("jobs: {a: {command: [b], needs: {job: c}}}", "a list of names"),
        ("jobs: {a.b: {command: [b]}}", "no dot"),
        ("jobs: {a: {command: [b], timeout: never}}", "whole seconds"),
        ("jobs: {a: {command: [b], cache: {since: 30d}}}", "cache says how long a result is good"),
        ("a: " + "[" * 30 + "]" * 30, "nested at most"),
        ("jobs: {a: {command: [b], needs: [a]}}", "in a circle: a -> a"),
        ("jobs: {a: {command: [b], needs: [z]}, z: {command: [b], finally: true}}", "runs finally"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_in_words(api: Api, text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        run(api, text)
    assert words in str(refused.value)


def test_inputs_that_are_given_go_where_they_are_addressed(types: Api) -> None:
    text = "jobs: {split: {type: geo/split}}"
    with pytest.raises(InvalidInput, match="'parts' is required, and has no source"):
        run(types, text)
    workflow_id = run(types, text, parameters={"split.parts": "9"})
    job_id = by_step(types, workflow_id)["split"].job_id
    assert types.get(f"/jobs/{job_id}/").json["inputs"][0]["value"] == "9"
    for given in ({"nobody.x": "1"}, {"split.nothing": "1"}, {"split": "1"}):
        with pytest.raises(InvalidInput, match="there is no job|takes no parameter"):
            run(types, text, parameters=given)


def test_a_repeat_with_the_same_key_makes_no_second_run(api: Api) -> None:
    text = "jobs: {a: {command: ['true']}}"
    first, second = (run(api, text, key="k", digest=b"1") for _ in range(2))
    assert first == second
    with pytest.raises(GangerError, match="was used for another request"):
        run(api, text, key="k", digest=b"2")


def test_a_large_run_is_invisible_until_all_of_it_is_there(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_writer, "PART", 4)
    text = "jobs: {s: {command: ['true'], for_each: {values: [0,1,2,3,4,5,6]}}, a: {command: ['true'], needs: [s]}, b: {command: ['true'], needs: [a]}}"
    workflow_id = run(api, text)
    assert {one.status for one in by_step(api, workflow_id).values()} == {"PENDING"}
    resolve(api)
    assert [one.status for one in by_step(api, workflow_id).values()] == ["QUEUED"] * 7 + ["PENDING"] * 2
    assert AdmissionCheck(api.rt) is not None


EACH = """
jobs:
  split: {type: geo/list}
  shard:
    type: geo/one
    max_tries: 1
    for_each: {job: split, parameter: names, as: name, limit: 5, max_running: 2}
  merge:
    type: geo/merge
    parameters: {areas: {job: shard, parameter: area}}
"""


@pytest.fixture
def lists(api: Api) -> Api:
    def interface(inputs: list[Any], outputs: list[Any]) -> dict[str, Any]:
        def entries(names: list[Any]) -> list[dict[str, Any]]:
            return [{"name": name, "type": "property"} for name in names]

        return {"version": "1.0", "input_data": entries(inputs), "output_data": entries(outputs)}

    api.a_type("geo/list", interface=interface([], ["names"]))
    api.a_type("geo/one", interface=interface(["name"], ["area"]))
    api.a_type("geo/merge", interface=interface(["areas"], []))
    return api


def test_a_step_becomes_a_job_for_each_value_of_an_output_and_followers_wait_for_all_of_them(
    lists: Api, cluster: Cluster
) -> None:
    """I-W6: what needs the step is not released before all its jobs are there and have ended."""
    node = cluster.a_node()
    workflow_id = run(lists, EACH)
    steps = by_step(lists, workflow_id)
    finish(lists, cluster, node, steps["split"].job_id, properties={"names": ["a", "b", "c"]})
    steps = by_step(lists, workflow_id)
    assert {name: one.status for name, one in steps.items()} == {
        "split": "COMPLETED", "shard[0]": "QUEUED", "shard[1]": "QUEUED", "shard[2]": "PENDING", "merge": "PENDING",
    }  # fmt: skip
    assert steps["shard[2]"].job_id < steps["merge"].job_id
    for number in range(3):
        job_id = steps[f"shard[{number}]"].job_id
        shown = lists.get(f"/jobs/{job_id}/").json
        assert (shown["inputs"][0]["value"], shown["name"]) == ("abc"[number], f"shard[{number}]")
        finish(lists, cluster, node, job_id, properties={"area": number})
    merge = lists.get(f"/jobs/{steps['merge'].job_id}/").json
    assert (merge["status"], merge["inputs"][0]["value"]) == ("QUEUED", [0, 1, 2])
    finish(lists, cluster, node, merge["id"])
    assert state(lists, workflow_id) == "COMPLETED"
    assert lookup.get(lists.rt, ME, workflow_id).row.total == 5


def test_no_value_at_all_satisfies_what_follows_and_too_many_fail_the_step(lists: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    empty, many = run(lists, EACH.replace("areas: {job: shard, parameter: area}", "areas: {job: shard, parameter: area, default: none}")), run(lists, EACH)  # fmt: skip
    finish(lists, cluster, node, by_step(lists, empty)["split"].job_id, properties={"names": []})
    assert by_step(lists, empty)["merge"].status == "QUEUED"
    finish(lists, cluster, node, by_step(lists, many)["split"].job_id, properties={"names": list("abcdef")})
    failed = by_step(lists, many)["shard[0]"]
    assert (failed.status, "at most 5 jobs" in str(failed.message)) == ("FAILED", True)
    assert by_step(lists, many)["merge"].status == "BLOCKED"
    assert state(lists, many) == "FAILED"
