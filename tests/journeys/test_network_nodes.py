"""Nodes on machines of their own, as far as the network goes: a namespace each, TCP to API and broker, and nothing else.

They are started and cleared away by the `command` driver, through a script such as an operator would write.
"""

from __future__ import annotations

import secrets
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from api.up.embedded import providers
from api.up.embedded.servers import ServerSet
from tests.support.network import Network, missing, network
from tests.support.roles import GANGER, Roles, free_port
from tests.support.servers import state_folder

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[2]

# What an operator's script does: a machine per name, a worker on it; here a machine is a network namespace.
SCRIPT = """#!/bin/sh
set -eu
folder={folder}
verb=$1; shift
alive() {{ pid=$(cat "$folder/$1.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; }}
begin() {{
    env -i PATH="$PATH" PYTHONPATH={pythonpath} GANGER_STATE_DIR="$folder/$1" GANGER_API_URL="$GANGER_API_URL" \\
        GANGER_BROKER_URL="$GANGER_BROKER_URL" GANGER_NODE_TOKEN_FILE="$folder/node-token" \\
        setsid ip netns exec "$1" {ganger} worker --name "$1" $GANGER_WORKER_OPTIONS </dev/null >>"$folder/$1.log" 2>&1 &
    echo $! > "$folder/$1.pid"
}}
case $verb in
    start)
        left=$1
        for name in {names}; do
            [ "$left" -gt 0 ] || break
            case " $GANGER_TAKEN " in *" $name "*) continue ;; esac
            [ ! -e "$folder/$name.pid" ] || continue
            begin "$name"; echo "$name"; left=$((left - 1))
        done ;;
    revive) for name; do begin "$name"; done ;;
    retire) for name; do ! alive "$name" || kill -TERM "$(cat "$folder/$name.pid")"; rm -rf "$folder/$name" "$folder/$name.pid"; done ;;
    list)
        for file in "$folder"/*.pid; do
            [ -e "$file" ] || continue
            name=$(basename "$file" .pid)
            if alive "$name"; then echo "$name"; else echo "$name gone"; fi
        done ;;
esac
"""


@pytest.fixture
def net() -> Iterator[Network]:
    if reason := missing():
        pytest.skip(f"NOT TESTED: {reason}")
    with network(3) as made:
        yield made


@pytest.fixture
def broker(net: Network) -> Iterator[str]:
    """A broker that is reached over TCP, with a password."""
    port, password = free_port(net.host), secrets.token_hex(16)
    words: list[str | Path] = [
        providers.valkey().program,
        "--bind",
        net.host,
        "--port",
        str(port),
        "--requirepass",
        password,
        "--save",
        "",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "Ready to accept connections" in line:
            break
    yield f"redis://:{password}@{net.host}:{port}/0"
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def roles(net: Network, broker: str, servers: ServerSet, database_url: str) -> Iterator[Roles]:
    with state_folder() as folder, Roles(folder, database_url, broker, host=net.host) as made:
        made.once(
            ["setup", "--admin-token", str(folder / "admin"), "--node-token", str(folder / "node-token")], made.server
        )
        script = folder / "machines"
        program, here = shlex.join(GANGER), shlex.quote(str(ROOT))
        text = SCRIPT.format(folder=folder, pythonpath=here, ganger=program, names=" ".join(net.names))
        script.write_text(text)
        script.chmod(0o755)
        (folder / "drivers.toml").write_text(
            f'[driver.machines]\nkind = "command"\nargv = ["{script}"]\nlook_every_s = 0.5\n'
            "node = {cpus = 1, mem = 256, disk = 256}\n"
        )
        more = {"GANGER_STATE_DIR": str(folder / "server"), "GANGER_DRIVERS_FILE": str(folder / "drivers.toml")}
        made.start("api", ["api"], {**made.server, **more})
        made.start("scheduler", ["scheduler"], {**made.server, **more})
        made.serve((folder / "admin").read_text().strip())
        yield made


def test_nodes_in_networks_of_their_own_join_work_and_are_scaled_away(roles: Roles, net: Network) -> None:
    pool = {
        "name": "field",
        "size": 3,
        "drivers": [{"driver": "machines"}],
        "template": {"cpus": 1, "mem": 256, "disk": 256},
    }
    assert roles.api.post("/pools/", json=pool).status_code == 201
    roles.until(lambda: len(roles.nodes()) == 3 or None, "three nodes")
    assert {node["name"] for node in roles.nodes()} == set(net.names)
    jobs = roles.run_jobs(9, "sh", "-c", "sleep 0.5; cat /proc/net/dev", pool="field", cpus_required=0.5)
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 9
    assert {job["node"]["name"] for job in jobs} == set(net.names)
    assert namespaces_of_workers(roles) == 3

    roles.api.patch("/pools/field/", json={"size": 0})
    roles.until(lambda: not roles.nodes() or None, "the nodes to leave")
    roles.until(lambda: not list(roles.folder.glob("*.pid")) or None, "the machines to be given back")
    assert workers(roles) == []
    why = [event["event"] for event in roles.api.get("/pools/field/events/").json()["results"]]
    assert {"start", "drain", "clear"} <= set(why)


def test_a_machine_that_is_cut_off_is_lost_and_its_work_runs_elsewhere(roles: Roles, net: Network) -> None:
    pool = {
        "name": "field",
        "size": 2,
        "drivers": [{"driver": "machines"}],
        "template": {"cpus": 1, "mem": 256, "disk": 256},
    }
    assert roles.api.post("/pools/", json=pool).status_code == 201
    roles.until(lambda: len(roles.nodes()) == 2 or None, "two nodes")
    job = {"command": ["sleep", "3"], "cpus_required": 1, "mem_required": 16, "disk_out_required": 1, "pool": "field"}
    job_id = roles.api.post("/jobs/", json=job).json()["id"]
    look = f"/jobs/{job_id}/"
    ran_on = roles.until(
        lambda: (found := roles.api.get(look).json())["num_exes"] == 1 and found["node"]["name"], "a claim"
    )
    subprocess.run(["ip", "-n", ran_on, "link", "set", "eth0", "down"], check=True)
    done = roles.until(lambda: (found := roles.api.get(look).json())["status"] == "COMPLETED" and found, "the job", 90)
    assert done["node"]["name"] != ran_on
    assert [execution["status"] for execution in done["job_exes"]] == ["COMPLETED", "LOST"]
    subprocess.run(["ip", "-n", ran_on, "link", "set", "eth0", "up"], check=True)
    roles.until(lambda: any(n["name"] == ran_on and n["is_online"] for n in roles.nodes()) or None, "it to come back")
    roles.api.patch("/pools/field/", json={"size": 0})
    roles.until(lambda: not list(roles.folder.glob("*.pid")) or None, "the machines to be given back")


def workers(roles: Roles) -> list[psutil.Process]:
    mark = str(roles.folder / "gn")
    return [p for p in psutil.process_iter() if any(word.startswith(mark) for word in _words(p))]


def namespaces_of_workers(roles: Roles) -> int:
    """Network namespaces, other than ours, in which this installation has agents."""
    agents = [p for p in psutil.process_iter() if "worker" in _words(p) and "field" in _words(p)]
    found = {Path(f"/proc/{p.pid}/ns/net").readlink() for p in agents}
    return len(found - {Path("/proc/self/ns/net").readlink()})


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
