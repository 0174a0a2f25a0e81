"""Whoever has one node, or the join token of one, tries to be another node; and a node's folder is copied while it works."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.installation import Installation
from tests.support.servers import state_folder

MINE = "gc_" + "m" * 40


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    """One installation with one real node."""
    with state_folder() as root:
        installation = Installation(root, cpus=4).start()
        installation.until(lambda: the_node(installation), "a node")
        yield installation
        installation.stop()


def the_node(here: Installation) -> dict[str, Any] | None:
    found = here.api.get("/nodes/", params={"name": here.ready["nodes"][0]}).json()["results"]
    return dict(found[0]) if found and found[0]["state"] == "READY" else None


def node(here: Installation) -> dict[str, Any]:
    found = the_node(here)
    assert found is not None
    return found


class Attacker:
    """Speaks the node protocol with whatever it has got hold of."""

    def __init__(self, here: Installation, shown: str) -> None:
        self._http = httpx2.Client(base_url=here.ready["url"], headers={"Authorization": f"Bearer {shown}"})

    def call(self, verb: str, **body: Any) -> int:
        return self._http.post(f"/node/{verb}/", json=body).status_code

    def register(self, **facts: Any) -> httpx2.Response:
        amounts = {"cpus": 1000, "mem": 1_000_000, "disk": 1_000_000}
        body = {"hostname": "h", "boot_id": "b", "disk_id": "d", "amounts": amounts, **facts}
        return self._http.post("/node/register/", json=body)

    def download(self, file_id: int) -> int:
        return self._http.get(f"/node/files/{file_id}/content/").status_code

    def publish(self, execution_id: int) -> int:
        query: dict[str, str | int] = {
            "execution_id": execution_id,
            "attempt": 1,
            "token": "guessed-token-of-16",
            "output": "o",
            "file_name": "f",
        }
        headers = {"Content-Type": "application/octet-stream"}
        return self._http.post("/node/files/", params=query, content=b"x", headers=headers).status_code

    def publish_many(self, execution_id: int) -> int:
        file = {
            "output": "o",
            "file_name": "f",
            "media_type": "text/plain",
            "size": 1,
            "sha256": hashlib.sha256(b"x").hexdigest(),
        }
        said = {"execution_id": execution_id, "attempt": 1, "token": "guessed-token-of-16", "files": [file]}
        described = json.dumps(said).encode()
        headers = {"Content-Type": "application/octet-stream"}
        query = {"described": len(described)}
        return self._http.post("/node/files/bulk/", params=query, content=described + b"x", headers=headers).status_code

    def speaks_for(self, target: dict[str, Any], execution_id: int) -> dict[str, int]:
        """What is answered to each call of the protocol in the name of a node."""
        one = {"execution_id": execution_id, "attempt": 1, "token": "guessed-token-of-16"}
        who = {"node_id": target["id"], "epoch": target["epoch"]}
        chunk = {**one, "phase": "job", "stream": "stdout", "offset": 0, "at": 1.0, "data": "aGk="}
        return {
            "beat": self.call("beat", **who, holding=0),
            "claim": self.call("claim", **who, claims=[one]),
            "report": self.call("report", node_id=target["id"], reports=[{**one, "outcome": "completed"}]),
            "exchange": self.call("exchange", **who, now=1.0, reports=[{**one, "outcome": "completed"}]),
            "output": self.call("output", node_id=target["id"], chunks=[chunk]),
            "leave": self.call("leave", **who),
        }


@pytest.fixture(params=["the join token of the node itself", "a join token without limits", "another node"])
def attacker(request: pytest.FixtureRequest, here: Installation) -> Attacker:
    if request.param.startswith("the join token"):
        return Attacker(here, (here.root / "tokens" / f"node-{here.ready['nodes'][0]}").read_text().strip())
    made = here.api.post("/admin/tokens/", json={"name": "any", "kind": "node"}).json()
    token = Attacker(here, made["token"])
    if request.param == "another node":
        name = f"taken-over-{made['id']}"
        assert token.register(name=name, pool="elsewhere", credential=MINE + name).json()["credential_taken"]
        return Attacker(here, MINE + name)
    return token


def test_nobody_speaks_for_a_node_but_itself(here: Installation, attacker: Attacker) -> None:
    file = here.api.post(
        "/files/", params={"file_name": "f"}, content=b"secret", headers={"Content-Type": "text/plain"}
    ).json()
    job_id = here.submit("/bin/sh", "-c", "exec sleep 300")
    execution = here.wait(job_id, "RUNNING") and here.api.get(f"/jobs/{job_id}/executions/").json()["results"][0]
    target = node(here)
    assert set(attacker.speaks_for(target, execution["id"]).values()) == {403}
    folder = here.root / "nodes" / target["name"]  # what every user of the machine can read
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    same = {"name": target["name"], "disk_id": (folder / "disk-id").read_text(), "boot_id": boot_id}
    assert attacker.register(**same, credential="gc_" + "x" * 40).status_code in {403, 409}
    assert attacker.register(**same).status_code in {403, 409}
    assert attacker.download(file["id"]) == 404
    assert attacker.publish(execution["id"]) in {404, 409}
    assert attacker.publish_many(execution["id"]) in {404, 409}
    here.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
    assert here.wait(job_id)["status"] == "CANCELED"
    assert (node(here)["id"], node(here)["epoch"]) == (target["id"], target["epoch"])


def test_the_credential_is_the_agents_alone_and_in_no_list(here: Installation) -> None:
    path = here.root / "nodes" / here.ready["nodes"][0] / "credential"
    state = path.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o600, os.geteuid())
    secret = json.loads(path.read_text())["taken"]
    for listed in ("/nodes/", "/admin/tokens/", f"/nodes/{node(here)['id']}/"):
        assert secret not in here.api.get(listed).text
    assert Attacker(here, secret).call("beat", node_id=node(here)["id"], epoch=0, holding=0) == 409, "it is this node's"


def test_a_second_agent_on_a_copy_of_the_folder_is_refused_and_the_work_of_the_first_goes_on(
    here: Installation, tmp_path: Path
) -> None:
    name = here.ready["nodes"][0]
    job_id = here.submit("/bin/sh", "-c", "exec sleep 15", max_tries=1)
    here.wait(job_id, "RUNNING")
    before = node(here)
    copy = tmp_path / "copy"
    shutil.copytree(here.root / "nodes" / name, copy, ignore=_sockets_and_work)
    environment = {
        **os.environ,
        "GANGER_API_URL": here.ready["url"],
        "GANGER_NODE_TOKEN_FILE": str(here.root / "tokens" / f"node-{name}"),
    }
    command = [sys.executable, "-m", "ganger", "worker", "--name", name, "--node-dir", str(copy)]
    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2, second.stderr
    assert f"node {name} cannot work: " in second.stderr
    assert "alive" in second.stderr
    job = here.wait(job_id)
    assert (job["status"], job["num_exes"]) == ("COMPLETED", 1)
    assert node(here)["epoch"] == before["epoch"]


def test_an_agent_that_is_killed_comes_back_by_its_credential_with_its_work(here: Installation) -> None:
    path = here.root / "nodes" / here.ready["nodes"][0] / "credential"
    first, before = json.loads(path.read_text())["taken"], node(here)
    job_id = here.submit("/bin/sh", "-c", "exec sleep 5", max_tries=1)
    here.wait(job_id, "RUNNING")
    (agent,) = here.processes("agent")
    agent.kill()
    here.until(lambda: json.loads(path.read_text())["taken"] not in {None, first}, "another credential")
    job = here.wait(job_id)
    assert (job["status"], job["num_exes"]) == ("COMPLETED", 1)
    assert node(here)["epoch"] == before["epoch"]
    assert Attacker(here, first).call("beat", node_id=before["id"], epoch=before["epoch"], holding=0) == 401


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads the environment of a process that protects itself")
def test_the_processes_of_a_node_have_no_password_in_their_environment(here: Installation) -> None:
    for role in ("consumer", "supervisor"):
        (process,) = here.processes(role)
        assert "GANGER_BROKER_URL" not in Path(f"/proc/{process.pid}/environ").read_bytes().decode(), role


def _sockets_and_work(folder: str, names: list[str]) -> list[str]:
    """A socket cannot be copied, and the work of the first agent need not be."""
    paths = {name: Path(folder, name) for name in names}
    return [name for name, path in paths.items() if path.is_socket() or name in {"x", "logs"} or path.is_fifo()]
