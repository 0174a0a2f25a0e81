"""A node that was taken over, and jobs of one project, try to get at files of another through what workflows pass on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.identifiers import FileId
from scheduler.identity import Role
from scheduler.store.nodes import credentials
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import resolve

EACH = """
jobs:
  split: {type: split}
  shard:
    type: shard
    max_tries: 1
    for_each: {job: split, asset: parts, as: part}
"""


def interface(inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, Any]:
    """Return an interface of these inputs and outputs, each with its type."""
    names = ("input_data", inputs), ("output_data", outputs)
    return {key: [{"name": name, "type": kind} for name, kind in given.items()] for key, given in names} | {
        "version": "1.0"
    }


@pytest.fixture
def mine(api: Api) -> Api:
    """A submitter of `mine`, which has two types; `theirs` has a file."""
    for project in ("mine", "theirs"):
        api.a_project(project)
        api.a_token(f"submitter of {project}", Role.SUBMITTER, project)
    api.a_type("split", project="mine", interface=interface({}, {"parts": "files"}))
    api.a_type("shard", project="mine", interface=interface({"part": "file"}, {}))
    return api.as_("submitter of mine")


def a_file(api: Api, project: str) -> int:
    made = api.as_(f"submitter of {project}").send(
        "POST", "/files/", b"content", query={"file_name": "f"}, content_type="text/plain"
    )
    assert made.status_code == 201, made.text
    return int(made.json["id"])


def placed(cluster: Cluster, job_id: int) -> Any:
    while cluster.job(job_id).status == "QUEUED":
        assert cluster.tick()
    return cluster.execution_of(job_id)


def test_a_node_that_reports_foreign_files_as_its_outputs_gets_none_of_them_for_the_jobs_that_follow(
    api: Api, mine: Api, cluster: Cluster
) -> None:
    foreign, node = a_file(api, "theirs"), cluster.a_node()
    made = mine.post("/workflows/", {"definition": EACH})
    assert made.status_code == 201, made.text
    steps = {one["job"]: one["job_id"] for one in mine.get(f"/workflows/{made.json['id']}/jobs/").json["results"]}
    ref = placed(cluster, steps["split"])
    cluster.claim(node, ref)
    cluster.report(node, ref, outputs=[{"name": "parts", "file_ids": [foreign]}])
    resolve(api)
    shard = mine.get(f"/jobs/{steps['shard']}/").json
    assert (shard["status"], shard["error"]["name"]) == ("FAILED", "input-missing")
    assert str(foreign) not in str(shard["inputs"])


def test_a_claim_brings_files_of_the_jobs_own_project_alone(api: Api, mine: Api, cluster: Cluster) -> None:
    """However an id came into the data of a job: what a node is told, and what it may fetch, is looked at once more."""
    foreign, own, node = a_file(api, "theirs"), a_file(api, "mine"), cluster.a_node()
    kind = {"job_type": {"name": "shard"}}
    for file_id, others in ((foreign, False), (own, True)):
        job_id = mine.post("/jobs/", {**kind, "inputs": {"part": own}}).json["id"]
        entry = {"name": "part", "file_id": file_id}
        data = json.dumps({"version": "1.0", "output_data": [], "input_data": [entry]})
        cluster.change("UPDATE job_specs SET data = CAST(:data AS jsonb) WHERE job_id = :id", id=job_id, data=data)
        (task,) = cluster.claim(node, placed(cluster, job_id)).granted
        assert bool(task.inputs[0].files) is others
        with cluster.rt.db.begin() as tx:
            assert credentials.reads(tx, node.node_id, 0, FileId(file_id)) is others
