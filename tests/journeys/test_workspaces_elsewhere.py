"""Files in an object store and on the web: stored, registered, staged from there by the node itself, verified."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import moto.server
import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

CONTENT = b"some data\n" * 100_000
SHA = hashlib.sha256(CONTENT).hexdigest()
SHOW = 'sha256sum < "$1"; cp "$1" "$2/copy.bin"'
INTERFACE = {
    "input_data": [{"name": "in", "type": "file"}],
    "output_data": [{"name": "copy", "type": "file", "glob": "copy.bin"}],
}


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """An object store; the variables by which it is reached."""
    server = moto.server.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    server.stop()


@pytest.fixture(scope="module")
def bucket(store: dict[str, str]) -> Any:
    session = boto3.Session(store["AWS_ACCESS_KEY_ID"], store["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    made = session.resource("s3", endpoint_url=store["AWS_ENDPOINT_URL_S3"]).Bucket("data")
    made.create()
    return made


@pytest.fixture(scope="module")
def here(store: dict[str, Any], bucket: Any) -> Iterator[Installation]:
    with state_folder(spaced=True) as root:
        made = Installation(root, GANGER_WEB_NETWORKS="127.0.0.0/8", **store).start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop()


class Quiet(SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a b.bin").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def a_workspace(here: Installation, name: str, url: str) -> int:
    made = here.api.post("/workspaces/", json={"name": name, "url": url})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def copied(here: Installation, name: str, file_id: int, workspace: int | None = None) -> dict[str, Any]:
    """Run a job that shows the digest of the file and copies it; return the job."""
    command = ["/bin/sh", "-c", SHOW, "sh", "${in}", "${job_output_dir}"]
    body = {"name": name, "version": "1", "command": command, "interface": INTERFACE, "max_tries": 1}
    assert here.api.post("/job-types/", json=body).status_code == 201
    outputs = [] if workspace is None else [{"name": "copy", "workspace_id": workspace}]
    data = {"input_data": [{"name": "in", "file_id": file_id}], "output_data": outputs}
    made = here.api.post("/jobs/", json={"job_type": {"name": name}, "data": data})
    assert made.status_code == 201, made.text
    job = here.wait(made.json()["id"])
    assert job["status"] == "COMPLETED", job["job_exes"]
    log = here.api.get(f"/job-executions/{job['job_exes'][0]['id']}/logs/stdout/").json()["text"]
    assert log.startswith(SHA)
    return job


def test_uploads_inputs_and_outputs_live_in_an_object_store(here: Installation, bucket: Any) -> None:
    workspace = a_workspace(here, "objects", "s3://data/ganger")
    made = here.api.post("/files/", params={"file_name": "x.bin", "workspace_id": workspace}, content=CONTENT).json()
    assert (made.get("file_size"), made.get("sha256")) == (len(CONTENT), SHA), made
    part = here.api.get(f"/files/{made['id']}/content/", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, CONTENT[5:10])
    job = copied(here, "from-objects", made["id"], workspace)
    output = job["outputs"][0]["value"]
    assert here.api.get(f"/files/{output['id']}/content/").content == CONTENT
    assert len(list(bucket.objects.filter(Prefix="ganger/"))) == 2
    assert here.api.delete(f"/files/{output['id']}/").status_code == 204
    assert len(list(bucket.objects.filter(Prefix="ganger/"))) == 1


def test_an_object_that_is_there_is_registered_and_outlives_its_file(here: Installation, bucket: Any) -> None:
    bucket.put_object(Key="sets/one.bin", Body=CONTENT)
    workspace = a_workspace(here, "sets", "s3://data/sets")
    made = here.api.post("/files/", params={"workspace_id": workspace, "path": "one.bin"}).json()
    assert (made["file_name"], made["sha256"]) == ("one.bin", SHA)
    copied(here, "from-sets", made["id"])
    assert here.api.delete(f"/files/{made['id']}/").status_code == 204
    assert bucket.Object("sets/one.bin").content_length == len(CONTENT)


def test_the_node_reads_from_the_web_itself_and_only_once(here: Installation, web: str) -> None:
    workspace = a_workspace(here, "web", f"{web}/set")
    made = here.api.post("/files/", params={"workspace_id": workspace, "path": "a b.bin"}).json()
    assert made["sha256"] == SHA
    Quiet.asked.clear()
    copied(here, "from-web", made["id"])
    assert len(Quiet.asked) <= 1  # none if the node has it from another workspace: it is kept by its digest
    refused = here.api.post("/files/", params={"file_name": "x", "workspace_id": workspace}, content=b"x")
    assert (refused.status_code, refused.json()["kind"]) == (400, "invalid-input")


@pytest.mark.parametrize("url", ["ftp://x/y", "s3://no-such-bucket/x", "http://user:word@host/x", "http://host/x?y=1"])
def test_a_workspace_that_cannot_be_is_refused(here: Installation, url: str) -> None:
    refused = here.api.post("/workspaces/", json={"name": "bad", "url": url})
    assert (refused.status_code, refused.json()["field"]) == (400, "url"), refused.text


def test_what_is_not_there_cannot_be_registered(here: Installation, web: str) -> None:
    workspace = a_workspace(here, "empty", web)
    for path in ("nothing.bin", "../x", "a//b"):
        refused = here.api.post("/files/", params={"workspace_id": workspace, "path": path})
        assert refused.status_code in {400, 404}, refused.text


def test_an_input_that_changed_in_its_store_is_a_checksum_error(here: Installation, bucket: Any) -> None:
    bucket.put_object(Key="changing/two.bin", Body=b"as registered")
    workspace = a_workspace(here, "changing", "s3://data/changing")
    made = here.api.post("/files/", params={"workspace_id": workspace, "path": "two.bin"}).json()
    bucket.put_object(Key="changing/two.bin", Body=b"as Registered")
    body = {"name": "changed", "version": "1", "command": ["/bin/true"], "max_tries": 1,
            "interface": {"input_data": INTERFACE["input_data"]}}  # fmt: skip
    assert here.api.post("/job-types/", json=body).status_code == 201
    job = here.api.post("/jobs/", json={"job_type": {"name": "changed"}, "inputs": {"in": made["id"]}}).json()
    assert here.wait(job["id"])["error"]["name"] == "checksum"
