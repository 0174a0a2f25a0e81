"""The published `metafold` clients, both releases, do their work against an installation: projects, assets, jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import metafold, tls_relay
from tests.support.installation import Installation
from tests.support.metafold import ClientError, Remote


@pytest.fixture(scope="module")
def types(installation: Installation) -> None:
    for kind in (metafold.COPY, metafold.COUNT, metafold.FAIL, metafold.SLEEP):
        answer = installation.api.post("/job-types/", json={"version": "1.0", **metafold.SMALL, **kind})
        assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module", params=metafold.VERSIONS)
def client(request: pytest.FixtureRequest, installation: Installation, types: None) -> Iterator[Remote]:
    """A client of either release, with a project of its own as its default."""
    token = Path(installation.ready["token_file"]).read_text().strip()
    with metafold.client(request.param, access_token=token, base_url=installation.ready["url"]) as made:
        made.set_project_id(made.projects.create(f"home of {request.param}")["id"])
        yield made


def test_projects_are_made_found_changed_copied_and_deleted(client: Remote) -> None:
    made = client.projects.create("alpha", access="org", data={"k": [1, {"a": None}]})
    assert (made["name"], made["access"], made["project"], made["type"]) == (
        "alpha",
        "org",
        {"k": [1, {"a": None}]},
        "unspecified",
    )
    assert client.projects.get(made["id"]) == made
    bench = client.projects.create("Bench 1", type="digital_test_bench_experiment")
    assert (bench["type"], bench["access"], bench["project"]) == ("digital_test_bench_experiment", "private", None)
    assert [one["id"] for one in client.projects.list(q='name:"ALPHA"')] == [made["id"]]
    assert bench["id"] in [one["id"] for one in client.projects.list(q=f'!name:alpha AND user:"{made["user"]}"')]
    assert [one["name"] for one in client.projects.list(sort="name:-1", q="name:alpha")] == ["alpha"]
    changed = client.projects.update(made["id"], name="beta", access="public", data={"n": 1}, graph={"g": []})
    assert (changed["name"], changed["access"], changed["project"], changed["graph"]) == (
        "beta",
        "public",
        {"n": 1},
        {"g": []},
    )
    assert client.projects.update(made["id"]) == changed, "nothing is changed by nothing"
    assert client.projects.update(made["id"], data={}, graph={})["project"] == {}
    client.projects.update(made["id"], data={"n": 1}, graph={"g": []})
    copy = client.projects.duplicate(made["id"], "gamma")
    assert (copy["project"], copy["graph"], copy["access"], copy["name"]) == ({"n": 1}, {"g": []}, "private", "gamma")
    assert copy["id"] != made["id"]
    for one in (made, bench, copy):
        client.projects.delete(one["id"])
        with pytest.raises(ClientError, match="there is no project"):
            client.projects.get(one["id"])


def test_assets_are_uploaded_found_downloaded_and_deleted(client: Remote, tmp_path: Path) -> None:
    names = ["part one.stl", 'with "quotes" & ümläut 日本.txt', "empty.bin"]
    contents = [b"solid", "grüße".encode(), b""]
    made = []
    for name, content in zip(names, contents, strict=True):
        (tmp_path / name).write_bytes(content)
        asset = client.assets.create(str(tmp_path / name))
        assert (asset["filename"], asset["size"]) == (name, len(content))
        assert asset["checksum"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert client.assets.get(asset["id"]) == asset
        client.assets.download_file(asset["id"], str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == content
        made.append(asset["id"])
    stream = client.assets.create({"bytes": "a stream"})
    assert (stream["filename"], stream["size"]) == ("file", 8)
    made.append(stream["id"])
    assert [one["id"] for one in client.assets.list()][:4] == made[::-1]
    assert [one["id"] for one in client.assets.list(q='filename:"part one.stl"')] == made[:1]
    assert client.assets.list(sort="size:1", q="!filename:*part* AND filename:*e*")[0]["id"] == made[2]
    for one in made:
        client.assets.delete(one)
        with pytest.raises(ClientError, match="status 404"):
            client.assets.get(one)
    assert not {one["id"] for one in client.assets.list()} & set(made)


ODD_NAMES = [
    "back\\slash.txt",
    "per%20cent.txt",
    "a;b=c, d'.txt",
    " both ends ",
    "star*.txt",
    "😀.stl",
    "a..b",
    ".hidden",
]


def test_files_keep_their_names_whatever_stands_in_them(client: Remote, tmp_path: Path) -> None:
    for name in ODD_NAMES:
        (tmp_path / name).write_bytes(name.encode())
        asset = client.assets.create(str(tmp_path / name))
        assert asset["filename"] == name
        quoted = name.replace("\\", "\\\\")
        assert asset["id"] in [one["id"] for one in client.assets.list(q=f'filename:"{quoted}"')]
        client.assets.download_file(asset["id"], str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == name.encode()


def test_a_large_file_comes_back_as_it_went(client: Remote, tmp_path: Path) -> None:
    block = bytes(range(256)) * 4096
    with (tmp_path / "large.bin").open("wb") as file:
        for _ in range(40):
            file.write(block)
    asset = client.assets.create(str(tmp_path / "large.bin"))
    client.assets.download_file(asset["id"], str(tmp_path / "back.bin"))
    assert asset["size"] == 40 * len(block)
    assert (tmp_path / "back.bin").read_bytes() == (tmp_path / "large.bin").read_bytes()


def test_the_newest_of_two_assets_of_one_name_counts(
    client: Remote, installation: Installation, tmp_path: Path
) -> None:
    for content in (b"old", b"new"):
        (tmp_path / "twice.txt").write_bytes(content)
        newest = client.assets.create(str(tmp_path / "twice.txt"))
    job = run(client, installation, "test/copy", {"source": "twice.txt"})
    assert job["inputs"]["assets"]["source"] == newest


def test_jobs_of_every_end_are_run_found_renamed_and_deleted(
    client: Remote, installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_bytes(b"abc")
    asset = client.assets.create(str(tmp_path / "in.txt"))
    done = run(
        client,
        installation,
        "test/copy",
        {"source": "in.txt", "message": "hällo", "times": "7", "nested": {"a": [1]}},
        "solo",
    )
    assert done["error"] is None
    assert (done["state"], done["name"], done["type"], done["error"]) == ("success", "solo", "test/copy", None)
    assert done["inputs"] == {
        "assets": {"source": asset},
        "params": {"message": "hällo", "times": "7", "nested": '{"a":[1]}'},
    }
    copy = done["outputs"]["assets"]["copy"]
    assert (copy["size"], copy["checksum"], copy["job_id"]) == (3, asset["checksum"], done["id"])
    assert done["outputs"]["params"] == {"said": "hällo", "size": '{"bytes":3}'}
    assert (done["assets"], done["parameters"], done["needs"]) == ([copy], done["inputs"]["params"], [])
    assert done["created"] <= done["started"] <= done["finished"]
    broken = run(client, installation, "test/fail", {})
    assert (broken["state"], broken["outputs"]) == ("failure", {"assets": {}, "params": {}})
    assert broken["error"]
    assert [one["id"] for one in client.jobs.list(q="state:failure AND type:test/*")][:1] == [broken["id"]]
    assert [one["id"] for one in client.jobs.list(q="!state:fail*", sort="finished:-1")][:1] == [done["id"]]
    if client.version() == "0.13.0":
        assert client.jobs.update(done["id"], name="renamed")["name"] == "renamed"
        assert client.jobs.update(done["id"])["name"] == "renamed"
    for one in (done, broken):
        client.jobs.delete(one["id"])
        with pytest.raises(ClientError, match="status 404"):
            client.jobs.get(one["id"])
    assert client.assets.get(copy["id"])["id"] == copy["id"], "files that a job made stay"


def test_a_running_job_is_stopped_when_it_is_deleted(client: Remote, installation: Installation) -> None:
    job_id = start(client, installation, "test/sleep", {"seconds": "300"})
    installation.wait(int(job_id), "RUNNING")
    installation.until(lambda: client.jobs.get(job_id)["started"], "the job to start")
    client.jobs.delete(job_id)
    assert job_id not in [one["id"] for one in client.jobs.list()]
    job = f"/jobs/{job_id}/executions/"
    installation.until(lambda: installation.api.get(job).json()["results"][0]["status"] == "CANCELED", "its end")


def test_what_cannot_be_is_told(client: Remote) -> None:
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: client.projects.get("999999"), "there is no project '999999' \\(status 404"),
        (lambda: client.projects.list(q="colour:red"), "not searched by 'colour'.*status 400"),
        (lambda: client.projects.list(sort="size:1"), "not ordered by 'size'.*status 400"),
        (lambda: client.assets.list(q='filename:"open'), "status 400"),
        (lambda: client.jobs.get("abc"), "status 404"),
        (lambda: client.assets.delete("999999"), "status 404"),
        (lambda: client.jobs.delete("999999"), "status 404"),
    ]
    for call, text in wrong:
        with pytest.raises(ClientError, match=text):
            call()


def start(client: Remote, installation: Installation, kind: str, params: Any, name: str | None = None) -> str:
    """Make a job and return its id: by the client where it can, else by the same request."""
    if client.version() == "0.13.0":
        link = client.jobs.run_status(kind, params, name=name)
    else:
        body = {"type": kind, "parameters": params, **({"name": name} if name else {})}
        answer = installation.api.post(f"/projects/{client.project_id()}/jobs", json=body)
        assert answer.status_code == 202, answer.text
        link = answer.json()["link"]
    return str(link).split("/")[-2]


def run(client: Remote, installation: Installation, kind: str, params: Any, name: str | None = None) -> Any:
    if client.version() == "0.13.0":
        return client.jobs.run(kind, params, name=name)
    job_id = start(client, installation, kind, params, name)
    installation.wait(int(job_id))
    return client.jobs.get(job_id)


CHAIN = """---
jobs:
  first:
    type: test/copy
  second-step:
    type: test/copy
    needs:
    - first
    assets:
      source: first
    parameters:
      message: {job: first, parameter: said}
"""
BROKEN = """
jobs:
  good: {type: test/sleep}
  bad: {type: test/fail}
  after: {type: test/sleep, needs: [bad]}
"""
SLOW = """
jobs:
  one: {type: test/sleep}
  two: {type: test/sleep, needs: [one]}
"""


def test_a_workflow_runs_and_hands_its_outputs_on(client: Remote, tmp_path: Path) -> None:
    (tmp_path / "mesh 1.stl").write_bytes(b"solid")
    asset = client.assets.create(str(tmp_path / "mesh 1.stl"))
    done = client.workflows.run(
        CHAIN, parameters={"first.message": "grüezi", "first.times": "3"}, assets={"first.source": "mesh 1.stl"}
    )
    assert (done["state"], done["definition"], len(done["jobs"])) == ("success", CHAIN, 2)
    assert done["created"] <= done["started"] <= done["finished"]
    copy = client.workflow.get_asset(done["id"], "second-step.copy")
    assert (copy["checksum"], copy["size"]) == (asset["checksum"], 5)
    assert client.workflow.get_parameter(done["id"], "second-step.said") == "grüezi"
    assert client.workflow.get_asset(done["id"], "first.nothing") is None
    assert client.workflow.get_parameter(done["id"], "nobody.said") is None
    first, second = (client.jobs.get(one) for one in sorted(done["jobs"], key=int))
    assert (first["name"], second["name"], second["needs"]) == ("first", "second-step", [first["id"]])
    assert first["workflow_id"] == second["workflow_id"] == done["id"]
    assert (first["inputs"]["params"], first["inputs"]["assets"]) == (
        {"message": "grüezi", "times": "3"},
        {"source": asset},
    )
    assert second["inputs"]["assets"]["source"] == first["outputs"]["assets"]["copy"]
    assert client.workflows.get(done["id"])["jobs"] == done["jobs"]
    assert client.workflows.list(sort="finished:-1", q="state:success")[0]["id"] == done["id"]
    client.workflows.delete(done["id"])
    with pytest.raises(ClientError, match="status 404"):
        client.workflows.get(done["id"])
    with pytest.raises(ClientError, match="status 404"):
        client.jobs.get(first["id"])


LITERALS = """
jobs:
  one job: {type: test/sleep, parameters: {seconds: "0.1"}}
  zwei ü: {type: test/sleep, needs: one job, parameters: {seconds: 0}}
"""


def test_parameters_are_texts_and_values_alike_and_jobs_have_any_name(client: Remote) -> None:
    done = client.workflows.run(LITERALS, parameters={"zwei ü.seconds": 0.2})
    jobs = {one["name"]: one for one in map(client.jobs.get, done["jobs"])}
    assert done["state"] == "success"
    assert {name: one["inputs"]["params"] for name, one in jobs.items()} == {
        "one job": {"seconds": "0.1"},
        "zwei ü": {"seconds": "0.2"},
    }
    client.jobs.delete(jobs["one job"]["id"])
    assert client.workflows.get(done["id"])["jobs"] == [jobs["zwei ü"]["id"]], "deleted jobs are looked for no more"
    assert client.workflow.get_asset(done["id"], "one job.nothing") is None


@pytest.mark.parametrize("version", metafold.VERSIONS)
def test_client_credentials_are_traded_for_a_token_over_https(
    version: str, installation: Installation, types: None, tmp_path: Path
) -> None:
    url = str(installation.ready["url"])
    secret = Path(installation.ready["token_file"]).read_text().strip()
    name = installation.api.get("/me/").json()["name"]
    with tls_relay.trusted(tmp_path, int(url.rsplit(":", 1)[1])) as (address, certificate):
        trust = {"REQUESTS_CA_BUNDLE": str(certificate)}
        facts = {"client_id": name, "auth_domain": address, "base_url": url}
        with metafold.client(version, trust, client_secret=secret, **facts) as client:
            made = client.projects.create("by credentials")
            assert client.projects.get(made["id"]) == made
            client.projects.delete(made["id"])
        with metafold.client(version, trust, client_secret="wrong", **facts) as client, pytest.raises(ClientError):
            client.projects.list()


def test_what_follows_a_failure_never_starts_and_the_rest_goes_on(client: Remote) -> None:
    ended = client.workflows.run(BROKEN, parameters={"good.seconds": "0.2", "after.seconds": "0"})
    assert ended["state"] == "failure"
    jobs = {one["name"]: one for one in map(client.jobs.get, ended["jobs"])}
    assert {name: one["state"] for name, one in jobs.items()} == {
        "good": "success",
        "bad": "failure",
        "after": "canceled",
    }
    assert (jobs["after"]["started"], bool(jobs["bad"]["error"])) == (None, True)
    with pytest.raises(ClientError, match="the workflow has ended"):
        client.workflows.cancel(ended["id"])


def test_a_workflow_is_cancelled_while_it_runs_and_a_wait_ends_in_time(
    client: Remote, installation: Installation
) -> None:
    began = client.workflows.run_async(SLOW, parameters={"one.seconds": "300"})
    assert (began["state"] in {"pending", "started"}, began["link"] is not None) == (True, True)
    job = min(map(int, began["jobs"]))
    installation.until(lambda: client.jobs.get(str(job))["started"], "the first job to start")
    assert client.workflows.get(began["id"])["state"] == "started"
    assert began["id"] in [one["id"] for one in client.workflows.list(q="state:started")]
    canceled = client.workflows.cancel(began["id"])
    assert (canceled["id"], canceled["state"]) == (began["id"], "canceled")
    assert client.workflows.cancel(began["id"])["state"] == "canceled", "it may be said again"
    assert {client.jobs.get(one)["state"] for one in began["jobs"]} == {"canceled"}
    with pytest.raises(ClientError, match="failed to complete within 1 seconds"):
        client.workflows.run(SLOW, timeout=1)
    left = client.workflows.list(q="state:started")[0]
    client.workflows.delete(left["id"])
    assert left["id"] not in [one["id"] for one in client.workflows.list()]
    assert not set(left["jobs"]) & {one["id"] for one in client.jobs.list()}


WIRED = """
jobs:
  made: {type: test/count}
  text: {type: test/copy, assets: {source: made}, parameters: {message: {job: made, parameter: count}, times: {job: made, parameter: word}}}
  json: {type: test/copy, assets: {source: made}, parameters: {message: {job: made, parameter: list}, nested: {job: made, parameter: told}}}
"""


def test_what_a_job_takes_of_another_is_a_text_on_the_way_whatever_their_types_say(client: Remote) -> None:
    done = client.workflows.run(WIRED)
    jobs = {one["name"]: one for one in map(client.jobs.get, done["jobs"])}
    assert done["state"] == "success", [one["error"] for one in jobs.values()]
    assert jobs["text"]["inputs"]["params"] == {"message": "3", "times": "12"}
    assert jobs["json"]["inputs"]["params"] == {"message": "[1,null]", "nested": '{"deep":[true]}'}


def test_a_workflow_that_cannot_be_is_refused_with_every_fault_and_nothing_is_made(client: Remote) -> None:
    before = len(client.jobs.list())
    for definition, more, text in (
        ("jobs: {a: {type: no/such}, b: {type: test/sleep, needs: [c]}}", {}, "no/such.*status 400"),
        ("jobs: {a: {type: test/sleep, needs: [b]}, b: {type: test/sleep, needs: [a]}}", {}, "status 400"),
        ("jobs: [", {}, "status 400"), ("", {}, "status 400"), ("jobs: {}", {}, "status 400"),
        (CHAIN, {"assets": {"first.source": "never uploaded"}}, "no asset 'never uploaded'.*status 400"),
        (SLOW, {"parameters": {"one.nothing": "1"}}, "status 400"), (SLOW, {"parameters": {"one.seconds": "soon"}}, "status 400"),
    ):  # fmt: skip
        with pytest.raises(ClientError, match=text):
            client.workflows.run_async(definition, **more)
    assert len(client.jobs.list()) == before
