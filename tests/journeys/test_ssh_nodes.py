"""Real nodes on a host that is reached by OpenSSH: started, worked, revived after a crash, scaled away, nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from api.up.embedded.servers import ServerSet
from tests.support.roles import GANGER, Roles
from tests.support.servers import state_folder
from tests.support.sshd import missing, sshd

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def roles(servers: ServerSet, database_url: str, broker_url: str) -> Iterator[Roles]:
    if reason := missing():
        pytest.skip(f"NOT TESTED: {reason}")
    with state_folder() as folder, Roles(folder, database_url, broker_url) as made:
        made.once(["setup", "--admin-token", str(folder / "admin")], made.server)
        (folder / "ssh").mkdir(mode=0o700)
        with sshd(folder / "ssh") as server:
            words = [f"PYTHONPATH={ROOT}", *GANGER]
            (folder / "drivers.toml").write_text(
                f'[driver.rack]\nkind = "ssh"\nssh = {toml(server.ssh)}\nganger = {toml(["env", *words])}\n'
                f'hosts = [{{address = "{server.address}", name = "rack", nodes = 4}}]\nfolder = "{folder}/remote"\n'
            )
            more = {"GANGER_STATE_DIR": str(folder / "server"), "GANGER_DRIVERS_FILE": str(folder / "drivers.toml")}
            made.start("api", ["api"], {**made.server, **more})
            made.start("scheduler", ["scheduler"], {**made.server, **more})
            made.serve((folder / "admin").read_text().strip())
            yield made
            for process in processes(made):  # a test that failed leaves nodes that nobody else would end
                process.kill()


def test_nodes_on_a_host_by_ssh_work_survive_and_are_scaled_away(roles: Roles) -> None:
    template = {"cpus": 1, "mem": 256, "disk": 256}
    pool = {"name": "rack", "size": 2, "drivers": [{"driver": "rack"}], "template": template}
    assert roles.api.post("/pools/", json=pool).status_code == 201
    roles.until(lambda: len(roles.nodes()) == 2 or None, "two nodes")
    jobs = roles.run_jobs(4, "sleep", "0.5", pool="rack", cpus_required=0.5)
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 4
    assert {job["node"]["name"] for job in jobs} == {"rack-rack-1", "rack-rack-2"}

    next(process for process in processes(roles) if "worker" in process.cmdline()).kill()
    events = "/pools/rack/events/"
    roles.until(
        lambda: any(e["event"] == "revive" for e in roles.api.get(events).json()["results"]) or None, "a revival"
    )
    assert [job["status"] for job in roles.run_jobs(2, "true", pool="rack")] == ["COMPLETED"] * 2

    roles.api.patch("/pools/rack/", json={"size": 0})
    roles.until(lambda: not roles.nodes() or None, "the nodes to leave")
    places = roles.folder / "remote" / "rack"
    roles.until(lambda: not list(places.iterdir()) or None, "the host to be clean")
    assert processes(roles) == []


def processes(roles: Roles) -> list[psutil.Process]:
    """Agents, supervisors: whatever was started on the host's folder."""
    mark = str(roles.folder / "remote")
    return [p for p in psutil.process_iter() if any(word.startswith(mark) for word in _words(p))]


def toml(words: list[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
