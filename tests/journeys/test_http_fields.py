"""The fields of the documented job services, written down by hand from their pages: every answer has all of them.

Answers may have more; a field that is missing, or of another kind than documented, is a client that breaks.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster

LIST = {"count", "next", "previous", "results"}
TYPE = {
    "id", "name", "version", "title", "description", "category", "author_name", "author_url", "is_system", "is_long_running", "is_active",
    "is_operational", "is_paused", "icon_code",
}  # fmt: skip
TYPE_OF_DETAIL = TYPE | {
    "uses_docker", "docker_privileged", "docker_image", "revision_num", "priority", "max_scheduled", "timeout", "max_tries", "cpus_required",
    "mem_required", "disk_out_const_required", "disk_out_mult_required", "created", "archived", "paused", "last_modified",
}  # fmt: skip
REVISION = {"id", "job_type", "revision_num"}
EVENT = {"id", "type", "rule", "occurred"}
JOB = {
    "id", "job_type", "job_type_rev", "event", "error", "status", "priority", "num_exes", "timeout", "max_tries", "cpus_required",
    "mem_required", "disk_in_required", "disk_out_required", "created", "queued", "started", "ended", "last_status_change", "last_modified",
}  # fmt: skip
DETAIL = JOB | {"data", "results", "recipes", "job_exes", "inputs", "outputs", "input_files", "products"}
ERROR = {"id", "name", "title", "description", "category", "is_builtin"}
EXECUTION = {
    "id", "status", "command_arguments", "timeout", "pre_started", "pre_completed", "pre_exit_code", "job_started", "job_completed",
    "job_exit_code", "post_started", "post_completed", "post_exit_code", "created", "queued", "started", "ended", "last_modified", "job",
    "node", "error",
}  # fmt: skip
FILE = {
    "id", "workspace", "file_name", "media_type", "file_size", "data_type", "is_deleted", "uuid", "url", "created", "deleted", "data_started",
    "data_ended", "geometry", "center_point", "meta_data", "last_modified",
}  # fmt: skip
PRODUCT = FILE | {"is_operational", "is_published", "published", "unpublished", "job_type", "job", "job_exe"}
DECIMALS = ("cpus_required", "mem_required", "disk_in_required", "disk_out_required")


def has(found: dict[str, Any], fields: set[str]) -> None:
    assert fields <= set(found), fields - set(found)


@pytest.fixture
def done(api: Api, cluster: Cluster) -> Any:
    """A job with an input file and an output file, completed after a failed try; and the files."""
    file = api.send("POST", "/files/", b"x", query={"file_name": "in.txt"}, content_type="text/plain").json
    interface = {
        "input_data": [{"name": "places", "schema": {"type": "integer"}}, {"name": "input_file", "type": "file"}],
        "output_data": [{"name": "output_file", "type": "file"}, {"name": "nothing", "required": False}],
    }
    command = ["/usr/bin/convert", "${input_file}", "two words", "${job_output_dir}"]
    made = api.a_type("kml-footprint", interface=interface, command=command, mem_required=0, max_tries=3)
    node = cluster.a_node()
    inputs = {"places": 10, "input_file": file["id"]}
    job = api.a_job(job_type_id=made["id"], inputs=inputs)
    cluster.tick()
    ref = cluster.execution_of(job["id"])
    cluster.claim(node, ref)
    api.change(
        """INSERT INTO files (project_id, workspace_id, file_name, file_size, sha256, path, job_id, execution_id, output, is_published)
           VALUES (1, 1, 'out.kml', 3, 'x', 'p', :job, :execution, 'output_file', false)""",
        job=job["id"],
        execution=ref[0],
    )
    product = api.value("SELECT id FROM files WHERE output = 'output_file'")
    outputs = [{"name": "output_file", "file_id": product}]
    cluster.report(node, ref, "completed", phases={"job": {"exit_code": 0}}, outputs=outputs)
    return job["id"], file["id"], product


def test_the_list_of_jobs_has_every_documented_field(api: Api, done: Any) -> None:
    for path in ("/jobs/", "/jobs/updates/", "/jobs/executions/"):
        answer = api.get(path).json
        has(answer, LIST)
        (job,) = answer["results"]
        has(job, JOB)
        has(job["job_type"], TYPE)
        has(job["job_type_rev"], REVISION)
        has(job["event"], EVENT)
        assert job["job_type_rev"]["job_type"] == {"id": job["job_type"]["id"]}
    (job,) = api.get("/jobs/updates/").json["results"]
    has(job["input_files"][0], FILE)
    (job,) = api.get("/jobs/executions/").json["results"]
    has(job["latest_job_exe"], EXECUTION)


def test_the_detail_of_a_job_has_every_documented_field(api: Api, done: Any) -> None:
    job_id, file_id, product_id = done
    job = api.get(f"/jobs/{job_id}/").json
    has(job, DETAIL)
    has(job["job_type"], TYPE_OF_DETAIL)
    has(job["job_type_rev"], REVISION | {"interface", "created"})
    has(job["event"], EVENT | {"description"})
    has(job["job_exes"][0], EXECUTION)
    inputs, outputs = ({one["name"]: one for one in job[part]} for part in ("inputs", "outputs"))
    assert all({"name", "type", "value"} <= set(one) for one in job["inputs"] + job["outputs"])
    assert inputs["places"]["value"] == 10
    has(inputs["input_file"]["value"], FILE)
    has(outputs["output_file"]["value"], PRODUCT)
    assert outputs["nothing"]["value"] is None
    product = outputs["output_file"]["value"]
    assert product["job_type"] == {"id": job["job_type"]["id"]}
    assert (product["job"], product["job_exe"]) == ({"id": job_id}, {"id": job["job_exes"][0]["id"]})
    assert (product["is_operational"], product["is_published"], product["unpublished"]) == (True, True, None)
    assert [one["id"] for one in job["input_files"]] == [file_id]
    assert [one["id"] for one in job["products"]] == [product_id]


def test_the_interface_has_its_command_and_documents_have_their_version(api: Api, done: Any) -> None:
    job = api.get(f"/jobs/{done[0]}/").json
    interface = job["job_type_rev"]["interface"]
    assert interface["version"] == "1.0"
    assert interface["command"] == "/usr/bin/convert"
    assert interface["command_arguments"] == "${input_file} 'two words' ${job_output_dir}"
    assert (job["data"]["version"], job["results"]["version"]) == ("1.0", "1.0")
    plain = api.a_job()
    assert plain["data"] == {"version": "1.0", "input_data": [], "output_data": []}
    assert plain["results"] == {"version": "1.0", "output_data": [], "properties": {}}
    execution = api.get(f"/job-executions/{job['job_exes'][0]['id']}/").json
    assert execution["results"]["version"] == "1.0"


def test_amounts_are_decimals_also_where_they_are_whole(api: Api, done: Any) -> None:
    job = api.get(f"/jobs/{done[0]}/").json
    for found in (job, api.get("/jobs/").json["results"][0]):
        assert all(isinstance(found[name], float) for name in DECIMALS)
    assert isinstance(job["job_type"]["disk_out_const_required"], float)
    assert '"cpus_required":1.0' in api.get("/jobs/").text


def test_files_are_named_by_32_digits_and_an_absolute_address(api: Api, done: Any) -> None:
    job = api.get(f"/jobs/{done[0]}/").json
    for file in (*job["input_files"], *job["products"], *api.get("/files/").json["results"]):
        assert re.fullmatch(r"[0-9a-f]{32}", file["uuid"])
        assert file["url"] == f"http://localhost/files/{file['id']}/content/"
    assert api.follow(job["input_files"][0]["url"]).data == b"x"


def test_a_deleted_output_says_since_when_it_is_no_longer_published(api: Api, done: Any) -> None:
    assert api.delete(f"/files/{done[2]}/").status_code == 204
    (product,) = api.get(f"/jobs/{done[0]}/").json["products"]
    assert product["is_deleted"]
    assert product["unpublished"] == product["deleted"] is not None


def test_the_jobs_of_one_submission_have_one_event_of_its_own(api: Api) -> None:
    first = api.a_job()
    ids = api.post("/jobs/", [{"command": ["true"]}] * 3).json["job_ids"]
    events = [api.get(f"/jobs/{job_id}/").json["event"] for job_id in ids]
    assert len({event["id"] for event in events} | {first["event"]["id"]}) == 2
    assert events[0] == events[1]
    assert events[0]["description"] == {"user": "admin", "jobs": 3}
    assert (events[0]["type"], events[0]["rule"]) == ("USER", None)
    listed = {job["id"]: job["event"] for job in api.get("/jobs/").json["results"]}
    assert listed[ids[0]]["id"] == events[0]["id"]
    assert "description" not in listed[ids[0]]


def test_a_command_in_a_container_says_so(api: Api) -> None:
    job = api.a_job(command=["true"], image="registry.example/tool:1")
    assert (job["job_type"]["uses_docker"], job["job_type"]["docker_image"]) == (True, "registry.example/tool:1")
    plain = api.a_job()
    assert (plain["job_type"]["uses_docker"], plain["job_type"]["docker_image"]) == (False, None)


def test_the_error_of_a_job_has_every_documented_field(api: Api, cluster: Cluster) -> None:
    job = api.a_job()
    api.change(
        """UPDATE jobs SET status = 'FAILED', ended = now(), error_id = (SELECT id FROM errors WHERE name = 'timeout')
           WHERE id = :id""",
        id=job["id"],
    )
    has(api.get(f"/jobs/{job['id']}/").json["error"], ERROR)


@pytest.mark.parametrize(
    ("geometry", "center"),
    [
        ({"type": "Point", "coordinates": [10, 20]}, [10.0, 20.0]),
        ({"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]}, [2.0, 1.0]),
        ({"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2, 3]}, "properties": {}}, [1.0, 2.0]),
        ({"type": "GeometryCollection", "geometries": [{"type": "MultiPoint", "coordinates": [[0, 0], [2, 2]]}]}, [1.0, 1.0]),
        ({"type": "GeometryCollection", "geometries": []}, None),
    ],
)  # fmt: skip
def test_the_center_of_a_geometry_is_the_middle_of_its_box(
    api: Api, geometry: dict[str, Any], center: list[float] | None
) -> None:
    file = api.send("POST", "/files/", b"x", query={"file_name": "f"}, content_type="text/plain").json
    api.change(
        "UPDATE files SET geometry = CAST(:geometry AS jsonb), data_started = '2026-01-01T00:00:00Z'",
        geometry=json.dumps(geometry),
    )
    shown = api.get(f"/files/{file['id']}/").json
    assert (shown["geometry"], shown["data_started"]) == (geometry, "2026-01-01T00:00:00Z")
    assert shown["center_point"] == (None if center is None else {"type": "Point", "coordinates": center})
